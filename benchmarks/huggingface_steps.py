"""The training steps that people write on transformers: the peers of benchmarks/pretrain.py.

stock: its defaults (fused SDPA attention, dropout 0.1, logits at every position); tuned: what a careful user
changes by hand (eager attention, which is faster on the CPU, dropout 0, torch.compile).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn

Step = Callable[[dict[str, Tensor]], None]


@dataclass(frozen=True)
class Shape:
    """Sizes as transformers names them."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int


def roberta(shape: Shape, *, dropout: float, attention: str, compiled: bool, bf16: bool) -> Step:
    config = transformers.RobertaConfig(
        **vars(shape) | {"max_position_embeddings": shape.max_position_embeddings + 2},
        type_vocab_size=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
        attn_implementation=attention,
    )
    model = transformers.RobertaForMaskedLM(config).train()
    forward = torch.compile(model) if compiled else model

    def loss(batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = forward(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
        ).loss
        return found

    return stepper([model], loss, bf16=bf16)


def electra(shape: Shape, *, dropout: float, attention: str, compiled: bool, bf16: bool) -> Step:
    """Generator of a quarter of the width, embeddings shared, replacements by the Gumbel trick, weight 50."""
    common: dict[str, Any] = {
        "embedding_size": 128,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "attn_implementation": attention,
    }
    narrow = {name: getattr(shape, name) // 4 for name in ("hidden_size", "intermediate_size")}
    narrow["num_attention_heads"] = max(1, shape.num_attention_heads // 4)
    generator = transformers.ElectraForMaskedLM(
        transformers.ElectraConfig(**vars(shape) | common | narrow)
    ).train()
    discriminator = transformers.ElectraForPreTraining(
        transformers.ElectraConfig(**vars(shape) | common)
    ).train()
    discriminator.electra.embeddings = generator.electra.embeddings
    first = torch.compile(generator) if compiled else generator
    second = torch.compile(discriminator) if compiled else discriminator

    def loss(batch: dict[str, Tensor]) -> Tensor:
        masked_BL = batch["labels"] != -100
        found = first(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
        )
        with torch.no_grad():
            logits_NV = found.logits[masked_BL].float()
            noise_NV = -torch.empty_like(logits_NV).exponential_().log()
            sampled_N = (logits_NV + noise_NV).argmax(-1)
            corrupted_BL = batch["input_ids"].masked_scatter(masked_BL, sampled_N)
            replaced_BL = masked_BL & (corrupted_BL != batch["labels"])
        detected = second(
            input_ids=corrupted_BL, attention_mask=batch["attention_mask"], labels=replaced_BL.long()
        )
        total: Tensor = found.loss + 50 * detected.loss
        return total

    return stepper([generator, discriminator], loss, bf16=bf16)


def stepper(models: list[nn.Module], loss: Callable[[dict[str, Tensor]], Tensor], *, bf16: bool) -> Step:
    """Forward, backward, clipping and fused AdamW."""
    parameters = list({id(p): p for model in models for p in model.parameters()}.values())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)

    def step(batch: dict[str, Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss(batch)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step
