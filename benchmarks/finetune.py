"""Fine-tuning beside Hugging Face's Trainer in turn in one run: the same encoder, batches and dropout.

Run: make bench-finetune ARGS="--peer-python ~/trainer/bin/python" (--lengths pairs --steps 6 --rounds 3).
The peer lives in an environment of its own (pip install transformers accelerate); without it our own
arrangements are measured beside each other. An ELECTRA of 12 layers of width 256, 32 texts a step, dropout
0.1, AdamW, each in its own loop; the Trainer pads to a batch's longest text (dynamic) or to 128 (padded).
The lengths of `reviews` are the quantiles of NSMC's train split; those of `pairs` a gamma distribution of
shape 3 and mean 40, as of pairs of sentences. Ratios are medians over rounds of rates measured in turn, from
the start of the second step to that of the last. Then both train a small encoder without dropout on the same
batches, and their losses are compared. With --clock cpu seconds are the processes' own: on a machine that
others use too, and with one thread, they tell more than the clock on the wall. With --tuned-peer the Trainer
gets the allocator's settings that our command line makes. The last lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from steps import vocabulary
from torch import Tensor, nn

from seedbed.config import Machine
from seedbed.data import PackedConfig, PaddedConfig
from seedbed.learner import Batch
from seedbed.models import EncoderConfig, SequenceClassifier, build_sequence_classifier, save_pretrained
from seedbed.tasks import SequenceClassification
from seedbed.tasks.encoded import EncodedExamples, ExamplePresentations
from seedbed.tracking import SilentRun
from seedbed.training import Training
from seedbed.training.trainer import train

PEER = Path(__file__).with_name("huggingface_trainer.py")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BATCH, LENGTH, CLASSES, EQUAL_STEPS = 32, 128, 3, 50
VOCABULARY = vocabulary(30522)
REVIEWS = (3, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21, 25, 31, 43, 128)
"""NSMC's train split in pieces of a vocabulary of 30,522 and two marks, at every twentieth."""
SHAPES = {"speed": (256, 12, 4), "equality": (128, 3, 4)}
ARRANGEMENTS = {"packed": PackedConfig(name="packed"), "longest": PaddedConfig(name="padded")}


def made(lengths: str, count: int) -> EncodedExamples:
    """Random tokens; [CLS] and [SEP] at the ends."""
    generator = np.random.default_rng(0)
    if lengths == "pairs":
        lengths_N = np.clip(generator.gamma(3.0, 40 / 3, count), 6, LENGTH)
    else:
        lengths_N = np.interp(generator.random(count), np.linspace(0, 1, len(REVIEWS)), REVIEWS)
    ids = [generator.integers(5, VOCABULARY.size, length) for length in lengths_N.astype(np.int64)]
    labels = generator.integers(CLASSES, size=count)
    for one, label in zip(ids, labels, strict=True):
        # something to learn: the second token says the label
        one[[0, 1, -1]] = VOCABULARY.cls_id, 5 + label, VOCABULARY.sep_id
    return EncodedExamples(
        ids=ids, type_ids=[np.zeros_like(one) for one in ids], pad_id=VOCABULARY.pad_id, labels=labels
    )


def network(shape: str, dropout: float) -> SequenceClassifier:
    hidden_size, num_layers, num_heads = SHAPES[shape]
    config = {
        "name": "encoder",
        "family": "electra",
        "hidden_size": hidden_size,
        "intermediate_size": 4 * hidden_size,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "embedding_size": 128 if hidden_size != 128 else None,
        "max_length": LENGTH,
        "dropout": dropout,
        "attention_dropout": dropout,
    }
    return build_sequence_classifier(
        EncoderConfig.parse(config, "benchmark"), VOCABULARY, num_labels=CLASSES, seed=1
    )


class Clocked(SequenceClassification):
    """Notes when each step began."""

    def __init__(self, classifier: nn.Module, clock: str) -> None:
        super().__init__(classifier)
        self.times: list[float] = []
        self._clock = CLOCKS[clock]

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        self.times.append(self._clock())
        return super().counts(batch)


def ours(run: Mapping[str, Any], examples: EncodedExamples, *, arrangement: str) -> dict[str, list[float]]:
    """Times at which steps began, and losses."""
    learner = Clocked(network(run["shape"], run["dropout"]), run["clock"])
    data = ExamplePresentations(
        examples, global_batch_size=BATCH, seed=1, arrange=ARRANGEMENTS[arrangement].arrange
    )
    recipe = {
        "max_steps": run["num_steps"],
        "global_batch_size": BATCH,
        "seed": 1,
        "precision": run["precision"],
        "optimizer": {"name": "adamw", "learning_rate": run["learning_rate"], "epsilon": 1e-6},
        "schedule": {"name": "constant"},
        "log_every": 1,
    }
    with tempfile.TemporaryDirectory() as scratch:
        trained = train(
            learner,
            data=data,
            valid=lambda: iter([data.batch(0, 1)]),
            recipe=Training.parse(recipe, "benchmark"),
            example_tokens=LENGTH,
            machine=Machine(threads=run["threads"], workers=0),
            scratch=Path(scratch),
            tracker=SilentRun(),
            label="benchmark",
        )
    return {"times": learner.times, "losses": [v for _, name, v in trained.curves if name == "train/loss"]}


class Peer:
    """A process that waits while we compute, and computes while we wait."""

    def __init__(self, python: str, *, threads: int, tuned: bool) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
            environment.pop(name, None)
        if tuned:
            environment |= {
                "MALLOC_MMAP_THRESHOLD_": str(2**30),
                "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
                "MALLOC_TOP_PAD_": str(2**28),
            }
        self._process = subprocess.Popen(
            [python, str(PEER)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, run: Mapping[str, Any], folder: Path, padding: str) -> dict[str, list[float]]:
        assert self._process.stdin and self._process.stdout
        paths = {"checkpoint": str(folder / run["shape"]), "examples": str(folder / f"{run['lengths']}.npz")}
        self._process.stdin.write(json.dumps({**run, **paths, "padding": padding}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"times"'):
                found: dict[str, list[float]] = json.loads(line)
                return found
        raise SystemExit("the peer stopped; try a line of a run by hand: " + json.dumps({**run, **paths}))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def rate(found: dict[str, list[float]]) -> float:
    """Texts per second between the starts of the second step and of the last."""
    times = found["times"]
    return BATCH * (len(times) - 2) / (times[-1] - times[1])


def write(folder: Path, examples: Mapping[str, EncodedExamples], num_steps: int) -> None:
    """Both start checkpoints, and the examples in the order in which our steps present them."""
    for shape in SHAPES:
        classifier = network(shape, 0.1)
        save_pretrained(folder / shape, classifier.encoder, head=classifier, labels=("a", "b", "c"))
    for name, found in examples.items():
        order = ExamplePresentations(found, global_batch_size=BATCH, seed=1)
        steps = range(num_steps)
        served = [int(one.split()[1]) for step in steps for one in order.names(step * BATCH, BATCH)]
        ids = [found.ids[number] for number in served]
        np.savez(
            folder / f"{name}.npz",
            ids=np.concatenate(ids),
            offsets=np.cumsum([0, *map(len, ids)]),
            labels=np.asarray(found.labels)[served],
        )


def speed(
    peer: Peer | None, folder: Path, examples: EncodedExamples, run: dict[str, Any], rounds: int
) -> list[tuple[str, float, float]]:
    """Goals by name; what they are the ratios of is printed."""
    case = f"{run['precision']}-{run['threads']}-threads-{run['lengths']}"
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        if peer:
            rates.setdefault("packed", []).append(rate(ours(run, examples, arrangement="packed")))
            for name, padding in (("dynamic", "longest"), ("padded", "max_length")):
                rates.setdefault(f"Trainer {name}", []).append(rate(peer.run(run, folder, padding)))
        else:
            for name in ARRANGEMENTS:
                rates.setdefault(name, []).append(rate(ours(run, examples, arrangement=name)))
    for name, values in rates.items():
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"{name} {case}: {statistics.median(values):.1f} texts/s ({each})", flush=True)
    goals = []
    for name, goal in (("dynamic", 2.2), ("padded", 4.0)) if peer else ():
        pairs = zip(rates["packed"], rates[f"Trainer {name}"], strict=True)
        goals.append((f"finetune-over-{name}-{case}", statistics.median(a / b for a, b in pairs), goal))
    return goals


def equality(peer: Peer, folder: Path, examples: EncodedExamples, run: dict[str, Any]) -> float:
    """The largest difference of the losses of a step, in fp32."""
    run = run | {"shape": "equality", "dropout": 0.0, "precision": "fp32", "num_steps": EQUAL_STEPS}
    run |= {"learning_rate": 5e-4}
    found = ours(run, examples, arrangement="packed")["losses"]
    theirs = peer.run(run, folder, "longest")["losses"]
    assert len(found) == len(theirs) == EQUAL_STEPS
    print(f"losses of {EQUAL_STEPS} steps: {found[0]:.4f} to {found[-1]:.4f}; theirs to {theirs[-1]:.4f}")
    return max(abs(a - b) for a, b in zip(found, theirs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", help="python of an environment with transformers and accelerate")
    parser.add_argument("--tuned-peer", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precisions", choices=["bf16", "fp32"], nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--lengths", choices=["reviews", "pairs"], nargs="+", default=["reviews", "pairs"])
    parser.add_argument("--clock", choices=[*CLOCKS], default="wall")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    num_steps = max(options.steps + 2, EQUAL_STEPS)
    examples = {name: made(name, 2 * BATCH * num_steps) for name in options.lengths}
    means = ", ".join(f"{name} {found.lengths.mean():.1f} tokens a text" for name, found in examples.items())
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}; {means}")
    goals: list[tuple[str, float, float]] = []
    difference = None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, examples, num_steps)
        for threads in options.threads:
            run = {"shape": "speed", "dropout": 0.1, "num_steps": options.steps + 2}
            run |= {"threads": threads, "clock": options.clock, "learning_rate": 1e-4}
            peer = None
            if options.peer_python:
                peer = Peer(options.peer_python, threads=threads, tuned=options.tuned_peer)
            for lengths, found in examples.items():
                run["lengths"] = lengths
                for precision in options.precisions:
                    goals += speed(peer, folder, found, run | {"precision": precision}, options.rounds)
                if peer and difference is None:
                    difference = equality(peer, folder, found, run)
            if peer:
                peer.close()
    for name, value, goal in goals:
        print(f"{name} {value:.2f} {goal:.2f} {'ok' if value >= goal else 'short'}")
    if difference is not None:
        verdict = "ok" if difference < 1e-4 else "short"
        print(f"finetune-loss-difference-fp32 {difference:.1e} 1e-04 {verdict}")


if __name__ == "__main__":
    main()
