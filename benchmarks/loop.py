"""What stands around a training step: the Lightning loop beside a bare loop, the loader beside the step.

Run: make bench-loop (ARGS="--threads 1 --steps 60 --rounds 3 --tokens 100000000"). The step is ELECTRA's
with 12 layers of width 256, 32 x 128 tokens, bf16. Both loops take the same batches from one store of token
shards, written for the occasion, and are timed in turn; the loop also seeds dropout, sets rates, sums losses
and agrees on stopping, and neither validates nor saves within the timed steps. The loader is timed alone, and
its memory before and after batches from all over the store. The last lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml
from steps import train_step, vocabulary

from seedbed.config import Machine
from seedbed.data import DynamicConfig, FullSentencesConfig
from seedbed.data.packing import PackedRows
from seedbed.data.shards import ShardWriter, TokenStore, write_manifest
from seedbed.learner import Batch
from seedbed.models import EncoderConfig
from seedbed.objectives import ReplacedTokenDetectionConfig
from seedbed.tracking import SilentRun
from seedbed.training import Training

CONF = Path(__file__).parents[1] / "conf"
VOCABULARY = vocabulary(30522)
ROWS, LENGTH, DOCUMENT = 32, 128, 500


def write_store(folder: Path, num_tokens: int) -> TokenStore:
    """Documents of 500 tokens drawn by Zipf's law."""
    (folder / "tokenizer.json").write_text("{}")
    ranks = np.arange(1, VOCABULARY.size - 4, dtype=np.float64)
    generator = np.random.default_rng(0)
    part = generator.choice(len(ranks), 10**6, p=ranks**-1.05 / (ranks**-1.05).sum()).astype(np.uint32) + 5
    lengths = np.full(len(part) // DOCUMENT, DOCUMENT)
    with ShardWriter(
        folder, split="train", vocab_size=VOCABULARY.size, separator_id=3, tokens_per_shard=2**27
    ) as writer:
        for _ in range(max(1, num_tokens // len(part))):
            writer.write(part, lengths)
        facts = writer.facts()
    write_manifest(
        folder,
        vocab_size=VOCABULARY.size,
        separator_id=3,
        tokens_per_shard=2**27,
        tokenizer_file=folder / "tokenizer.json",
        splits={"train": facts},
        facts={},
    )
    return TokenStore.open(folder, "train")


def resident() -> float:
    """MiB of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=10**9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, torch {torch.__version__}, {options.threads} threads")
    encoder = EncoderConfig.parse(
        yaml.safe_load((CONF / "encoder/electra_small.yaml").read_text()) | {"max_length": LENGTH}, "encoder"
    )
    objective = ReplacedTokenDetectionConfig(name="replaced_token_detection")
    recipe = Training.parse(
        {
            "max_steps": options.steps,
            "global_batch_size": ROWS,
            "seed": 1,
            "precision": "bf16",
            "optimizer": {"name": "adamw", "learning_rate": 1e-4},
            "schedule": {"name": "constant"},
            "log_every": 10,
        },
        "benchmark",
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = write_store(Path(folder), options.tokens)
        print(f"store: {store.num_tokens:,} tokens in {time.perf_counter() - started:.0f} s")
        rows = PackedRows(
            FullSentencesConfig(name="full_sentences").build(store, max_length=LENGTH, vocabulary=VOCABULARY),
            masks=DynamicConfig(name="dynamic"),
            seed=1,
            prepare=objective.prepare(VOCABULARY),
        )
        run_bare(encoder, objective, rows, recipe)  # warm
        run_loop(encoder, objective, rows, recipe, options.threads, Path(folder) / "warm")
        bare: list[float] = []
        loop: list[float] = []
        for number in range(options.rounds):
            bare.append(run_bare(encoder, objective, rows, recipe))
            scratch = Path(folder) / str(number)
            loop.append(run_loop(encoder, objective, rows, recipe, options.threads, scratch))
        before = resident()
        seconds = time_loader(rows, rows.num_rows // ROWS // 50)
        grown = resident() - before
    step = statistics.median(bare) / options.steps
    overhead = 100 * (statistics.median(b / a for a, b in zip(bare, loop, strict=True)) - 1)
    print(f"bare step {1e3 * step:.1f} ms; rounds " + ", ".join(f"{t / options.steps:.4f}" for t in bare))
    print(f"loop step rounds {', '.join(f'{t / options.steps:.4f}' for t in loop)}")
    print(f"loader {1e3 * seconds:.2f} ms a batch, {ROWS * LENGTH / seconds:,.0f} tokens/s, one thread")
    print(f"loop-overhead-percent {overhead:.2f} 3.00 {'ok' if overhead <= 3 else 'short'}")
    print(f"loader-over-step {step / seconds:.1f} 10.0 {'ok' if step >= 10 * seconds else 'short'}")
    print(f"loader-memory-growth-MiB {grown:.1f} 16.0 {'ok' if grown <= 16 else 'short'}")


def run_bare(
    encoder: EncoderConfig, objective: ReplacedTokenDetectionConfig, rows: PackedRows, recipe: Training
) -> float:
    learner = objective.build(encoder, VOCABULARY, seed=1).train()
    optimizer = recipe.optimizer.build(learner)
    started = time.perf_counter()
    for step in range(recipe.max_steps):
        batch = rows.batch(step * ROWS, ROWS)
        train_step(learner, optimizer, batch, recipe.precision)
    return time.perf_counter() - started


def run_loop(
    encoder: EncoderConfig,
    objective: ReplacedTokenDetectionConfig,
    rows: PackedRows,
    recipe: Training,
    threads: int,
    scratch: Path,
) -> float:
    """From the first batch to the end of the last step; building and the last save do not count."""
    from seedbed.training.trainer import train

    first: list[float] = []
    last: list[float] = []

    class Timed:
        def batch(self, start: int, count: int) -> dict[str, torch.Tensor]:
            first.append(time.perf_counter())
            return rows.batch(start, count)

        def names(self, start: int, count: int) -> list[str]:
            return rows.names(start, count)

    def valid() -> Iterator[Batch]:
        last.append(time.perf_counter())
        yield rows.batch(0, 1)

    train(
        objective.build(encoder, VOCABULARY, seed=1),
        data=Timed(),
        valid=valid,
        recipe=recipe,
        example_tokens=LENGTH,
        machine=Machine(threads=threads, checkpoint_minutes=1000),
        scratch=scratch,
        tracker=SilentRun(),
        label="benchmark",
    )
    return last[0] - first[0]


def time_loader(rows: PackedRows, num_batches: int) -> float:
    """Seconds for a batch, over batches spread over a whole epoch."""
    stride = max(1, rows.num_rows // ROWS // num_batches)
    started = time.perf_counter()
    for number in range(num_batches):
        rows.batch(number * stride * ROWS, ROWS)
    return (time.perf_counter() - started) / num_batches


if __name__ == "__main__":
    main()
