"""Tokens per second of both default pretrainings in fp32 and bf16, measured in turn in one process.

Run: make bench-precision (ARGS="--threads 1 --seconds 4 --rounds 5"). A step is what the loop does without
Lightning: corrupt, forward, backward, clip, AdamW. Medians of the rounds; the last lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from steps import train_step, vocabulary

from seedbed.models import EncoderConfig
from seedbed.objectives import MaskedLMConfig, ReplacedTokenDetectionConfig
from seedbed.training import Precision
from seedbed.training.optim import AdamWConfig

CONF = Path(__file__).parents[1] / "conf"
ROWS, VOCABULARY_SIZE = 64, 8192
RUNS: dict[str, MaskedLMConfig | ReplacedTokenDetectionConfig] = {
    "electra_tiny": ReplacedTokenDetectionConfig(name="replaced_token_detection"),
    "roberta_tiny": MaskedLMConfig(name="masked_lm"),
}


def stepper(run: str, precision: Precision) -> Callable[[], int]:
    """One optimizer step on random rows; returns its tokens."""
    words = vocabulary(VOCABULARY_SIZE)
    encoder = EncoderConfig.parse(yaml.safe_load((CONF / f"encoder/{run}.yaml").read_text()), run)
    learner = RUNS[run].build(encoder, words, seed=1)
    prepare = RUNS[run].prepare(words)
    optimizer = AdamWConfig(name="adamw", learning_rate=1e-3).build(learner)
    rows_BL = np.random.default_rng(0).integers(5, VOCABULARY_SIZE, (ROWS, encoder.max_length))
    count = 0

    def step() -> int:
        nonlocal count
        batch = prepare(rows_BL, count * ROWS, 1)
        train_step(learner, optimizer, batch, precision)
        count += 1
        return int(rows_BL.size)

    step()
    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    steps = {(run, precision): stepper(run, precision) for run in RUNS for precision in precisions}
    rates: dict[tuple[str, Precision], list[float]] = {key: [] for key in steps}
    for _ in range(options.rounds):
        for key, step in steps.items():
            started, tokens = time.perf_counter(), 0
            while time.perf_counter() - started < options.seconds:
                tokens += step()
            rates[key].append(tokens / (time.perf_counter() - started))
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {options.threads} threads"
    )
    median = {key: statistics.median(values) for key, values in rates.items()}
    for (run, precision), value in median.items():
        rounds = ", ".join(f"{rate:,.0f}" for rate in rates[run, precision])
        print(f"{run} {precision}: {value:,.0f} tokens/s (rounds {rounds})")
    for run in RUNS:
        ratio = median[run, "bf16"] / median[run, "fp32"]
        print(f"{run}-bf16-over-fp32 {ratio:.2f} 1.50 {'ok' if ratio >= 1.5 else 'short'}")


if __name__ == "__main__":
    main()
