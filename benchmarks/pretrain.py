"""Pretraining steps beside Hugging Face's in turn in one run: ELECTRA and RoBERTa, 12 layers of width 256.

Run: make bench-pretrain (ARGS="--threads 1 --precision fp32 --seconds 8 --rounds 5"). Batches of 32 x 128
tokens made beforehand, vocabulary 30,522; the padded peer gets lines of real lengths. A step is forward,
backward, clipping and fused AdamW; tokens are those that are not padding. Ratios are medians over rounds of
rates measured in turn. Ours and the tuned peer have no dropout; "at equal dropout" compares our step at 0.1
with the others. Model FLOP utilisation (MFU) is against the fastest matrix product of the same run. The last
lines are the goals.
"""

import settle  # noqa: F401  before numpy and torch

# isort: split
import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
import torch
from huggingface_steps import Shape, Step, electra, roberta
from steps import train_step, vocabulary
from torch import Tensor

from seedbed.models import EncoderConfig
from seedbed.objectives import MaskedLMConfig, ReplacedTokenDetectionConfig
from seedbed.training import Precision
from seedbed.training.optim import AdamWConfig

SHAPE = Shape(30522, 256, 1024, 12, 4, 128)
ROWS, LENGTH, EMBEDDING, MASKED = 32, 128, 128, 0.15
PAD, CLS, SEP, FIRST = 0, 2, 3, 5
VOCABULARY = vocabulary(SHAPE.vocab_size)
OBJECTIVES: dict[str, MaskedLMConfig | ReplacedTokenDetectionConfig] = {
    "roberta": MaskedLMConfig(name="masked_lm"),
    "electra": ReplacedTokenDetectionConfig(name="replaced_token_detection"),
}
Batch = dict[str, Tensor]


def ours(objective: str, dropout: float, precision: Precision) -> Callable[[Batch], None]:
    encoder = EncoderConfig.parse(
        {
            "name": "encoder",
            "family": objective,
            "hidden_size": SHAPE.hidden_size,
            "intermediate_size": SHAPE.intermediate_size,
            "num_layers": SHAPE.num_hidden_layers,
            "num_heads": SHAPE.num_attention_heads,
            "max_length": LENGTH,
            "embedding_size": EMBEDDING if objective == "electra" else None,
            "num_token_types": 2 if objective == "electra" else 1,
            "dropout": dropout,
            "attention_dropout": dropout,
        },
        "benchmark",
    )
    learner = OBJECTIVES[objective].build(encoder, VOCABULARY, seed=1).train()
    optimizer = AdamWConfig(name="adamw", learning_rate=1e-4).build(learner)

    def step(batch: Batch) -> None:
        train_step(learner, optimizer, batch, precision)

    return step


def our_batches(objective: str, rows: list[np.ndarray]) -> Iterator[Batch]:
    prepare = OBJECTIVES[objective].prepare(VOCABULARY)
    return cycle([prepare(rows_BL, number * ROWS, 1) for number, rows_BL in enumerate(rows)])


def their_batches(objective: str, rows: list[np.ndarray]) -> Iterator[Batch]:
    """Labels at every position, -100 where nothing is asked, as transformers wants them."""
    made = []
    for batch, rows_BL in zip(our_batches(objective, rows), rows, strict=False):
        labels = torch.full(batch["input_ids"].shape, -100)
        labels.view(-1)[batch["masked_index"]] = batch["labels"]
        mask = torch.from_numpy((rows_BL != PAD).astype(np.int64))
        made.append({"input_ids": batch["input_ids"], "attention_mask": mask, "labels": labels})
    return cycle(made)


def full_rows(generator: np.random.Generator) -> np.ndarray:
    ranks = np.arange(1, SHAPE.vocab_size - FIRST + 1, dtype=np.float64)
    chances = ranks**-1.05 / (ranks**-1.05).sum()
    rows_BL = generator.choice(len(ranks), size=(ROWS, LENGTH), p=chances) + FIRST
    rows_BL[:, 0], rows_BL[:, -1] = CLS, SEP
    return rows_BL


def padded_rows(generator: np.random.Generator) -> np.ndarray:
    """Lines of 8 to 128 tokens, some 80 on average, padded to the longest of the batch."""
    lengths_B = np.clip(generator.gamma(2.0, 53.0, ROWS), 8, LENGTH).astype(np.int64)
    rows_BL = full_rows(generator)
    for row_L, length in zip(rows_BL, lengths_B, strict=True):
        row_L[length - 1], row_L[length:] = SEP, PAD
    return rows_BL[:, : lengths_B.max()]


def useful_flops(objective: str) -> float:
    """Of one token, forward and backward: matrices and attention; the vocabulary at masked positions only."""

    def body(width: int, inner: int) -> float:
        layers = SHAPE.num_hidden_layers
        return 6 * layers * (4 * width**2 + 2 * width * inner) + 12 * layers * LENGTH * width

    hidden, inner, vocabulary = SHAPE.hidden_size, SHAPE.intermediate_size, SHAPE.vocab_size
    if objective == "roberta":
        return body(hidden, inner) + MASKED * 6 * (hidden**2 + hidden * vocabulary)
    narrow = hidden // 4
    generator = body(narrow, inner // 4) + 6 * EMBEDDING * narrow
    generator += MASKED * 6 * (narrow * EMBEDDING + EMBEDDING * vocabulary)
    return body(hidden, inner) + 6 * EMBEDDING * hidden + 6 * hidden**2 + generator


def product_limit(precision: Precision) -> float:
    """FLOP per second of the best square product of a few sizes."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    best = 0.0
    for size in (768, 1024, 1536, 2048):
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        a @ b
        for _ in range(5):
            started = time.perf_counter()
            a @ b
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def rate(step: Callable[[Batch], None], batches: Iterator[Batch], seconds: float) -> float:
    started, tokens = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = next(batches)
        step(batch)
        mask = batch.get("attention_mask")
        tokens += batch["input_ids"].numel() if mask is None else int(mask.sum())
    return tokens / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    precision: Precision = options.precision
    torch.set_num_threads(options.threads)
    if precision == "fp32":
        torch.set_float32_matmul_precision("medium")  # oneDNN; for the peers as well
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    full, padded = ([make(generator) for _ in range(8)] for make in (full_rows, padded_rows))
    bf16 = precision == "bf16"
    peers: dict[str, Callable[..., Step]] = {"roberta": roberta, "electra": electra}
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, "
        f"{options.threads} threads, {precision}"
    )
    print("variant, tokens per second: median (rounds)")
    goals: list[tuple[str, float, float]] = []
    for objective, peer in peers.items():
        stock = {"dropout": 0.1, "attention": "sdpa", "compiled": False, "bf16": bf16}
        tuned = {"dropout": 0.0, "attention": "eager", "compiled": True, "bf16": bf16}
        variants = {
            "seedbed": (ours(objective, 0.0, precision), our_batches(objective, full)),
            "seedbed dropout 0.1": (ours(objective, 0.1, precision), our_batches(objective, full)),
            "transformers padded": (peer(SHAPE, **stock), their_batches(objective, padded)),
            "transformers packed": (peer(SHAPE, **stock), their_batches(objective, full)),
            "transformers tuned": (peer(SHAPE, **tuned), their_batches(objective, full)),
        }
        for step, batches in variants.values():
            rate(step, batches, 0.1)
            rate(step, batches, 0.1)
        rates: dict[str, list[float]] = {name: [] for name in variants}
        limits = []
        for _ in range(options.rounds):
            limits.append(product_limit(precision))
            for name, (step, batches) in variants.items():
                rates[name].append(rate(step, batches, options.seconds))
        for name, values in rates.items():
            rounds = ", ".join(f"{value:,.0f}" for value in values)
            print(f"{objective} {name}: {statistics.median(values):,.0f} ({rounds})", flush=True)

        def ratio(one: str, other: str, rates: dict[str, list[float]] = rates) -> float:
            return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))

        limit = statistics.median(limits)
        print(f"{objective}: products reach {limit / 1e9:,.0f} GFLOP/s")
        for name, goal in (("tuned", 1.5), ("packed", 2.3), ("padded", 3.2)):
            goals.append((f"{objective}-over-{name}", ratio("seedbed", f"transformers {name}"), goal))
        for name in ("packed", "padded"):
            equal = ratio("seedbed dropout 0.1", f"transformers {name}")
            print(f"{objective} over {name} at equal dropout: {equal:.2f}")
        used = statistics.median(rates["seedbed"]) * useful_flops(objective) / limit
        goals.append((f"{objective}-mfu-percent", 100 * used, 60.0 if bf16 else 70.0))
    for name, value, goal in goals:
        print(f"{name}-{precision}-{options.threads}-threads {value:.2f} {goal:.2f} "
              f"{'ok' if value >= goal else 'short'}")  # fmt: skip


if __name__ == "__main__":
    main()
