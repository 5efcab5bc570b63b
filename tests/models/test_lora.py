"""LoRA: the paper's equation by hand, its published count, what learns and what does not, and the merged encoder."""

from typing import get_args

import pytest
import torch
from torch import nn

from seedbed.models import SequenceClassifier, classifier_on
from seedbed.models.encoder import Encoder, EncoderConfig, Family
from seedbed.models.lora import LoRAConfig, LoRALinear, Target, merge
from tests.models.families import FAMILIES, rows, shake, small, vocabulary_of

ALL: tuple[Target, ...] = get_args(Target)


def lora(**changed: object) -> LoRAConfig:
    return LoRAConfig.parse({"name": "lora", "rank": 3, "alpha": 6.0, **changed}, "adapter")


def classifier(family: Family) -> SequenceClassifier:
    encoder = small(family).build(vocabulary_of(family))
    shake(encoder)
    return classifier_on(encoder, num_labels=3, dropout=0.0).double()


def moved(network: nn.Module) -> None:
    """As if trained: no update is 0 any more."""
    generator = torch.Generator().manual_seed(9)
    for part in network.modules():
        if isinstance(part, LoRALinear):
            nn.init.normal_(part.up, std=0.1, generator=generator)


def logits(network: SequenceClassifier, family: Family) -> torch.Tensor:
    batch = rows(family, padded=True)
    return network(batch["input_ids"], batch["attention_mask"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("targets", [["query", "value"], list(ALL)])
def test_the_papers_equation_by_hand(family: Family, targets: list[str]) -> None:
    """W + (alpha / rank) B A written into the plain network's own matrices gives the same logits."""
    adapted, plain = classifier(family), classifier(family)
    before = logits(plain, family)
    lora(targets=targets).apply(adapted.encoder, seed=1)
    assert torch.equal(logits(adapted.double(), family), before), "B is 0: training begins with the encoder"
    moved(adapted)
    size = adapted.encoder.config.hidden_size
    with torch.no_grad():
        for ours, block in zip(adapted.encoder.blocks, plain.encoder.blocks, strict=True):
            for target in targets:
                name = "attention_in" if target in ("query", "key", "value") else target
                part, weight = ours.get_submodule(name), block.get_submodule(name).weight
                assert isinstance(part, LoRALinear)
                place = ("query", "key", "value").index(target) if name == "attention_in" else 0
                row = part.parts.index(place)
                update = 2.0 * part.up[row] @ part.down[row]
                weight[place * size : place * size + len(update)] += update
    expected = logits(plain, family)
    assert float((expected - before).detach().abs().max()) > 1e-3
    torch.testing.assert_close(logits(adapted, family), expected, rtol=1e-12, atol=1e-12)
    merge(adapted)
    assert [name for name, _ in adapted.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert torch.equal(logits(adapted, family), expected), "merged it is that very network"


def test_the_published_count() -> None:
    """Table 2: 0.3 million for RoBERTa-Base with rank 8 on queries and values, 0.24 % of the network."""
    values = {"name": "encoder", "family": "roberta", "hidden_size": 768, "intermediate_size": 3072}
    config = EncoderConfig.parse({**values, "num_layers": 1, "num_heads": 12}, "encoder")
    encoder = Encoder(config, vocabulary_size=10, pad_id=1)
    lora(rank=8, alpha=8.0).apply(encoder, seed=0)
    learning = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    assert 12 * learning == 12 * 2 * 8 * (768 + 768) == 294_912


def test_only_updates_and_the_head_learn() -> None:
    network = classifier("electra").float()
    lora(dropout=0.1).apply(network.encoder, seed=1)
    moved(network)
    logits(network.train(), "electra").square().sum().backward()
    learned = {name for name, p in network.named_parameters() if p.grad is not None}
    updates = {f"encoder.blocks.{b}.attention_in.{n}" for b in range(3) for n in ("down", "up")}
    assert learned == updates | {name for name, _ in network.named_parameters() if name.startswith("head.")}
    assert all(bool((network.get_parameter(name).grad != 0).any()) for name in learned)


def test_the_seed_decides_and_every_matrix_has_its_own() -> None:
    found = []
    for seed in (1, 1, 2):
        network = classifier("bert")
        lora(targets=["query", "value", "attention_out"]).apply(network.encoder, seed=seed)
        found.append({n: p for n, p in network.named_parameters() if n.endswith(".down")})
    one, again, other = found
    assert len(one) == 6 and all(torch.equal(value, again[name]) for name, value in one.items())
    assert not any(torch.equal(value, other[name]) for name, value in one.items())
    drawn = [row for value in one.values() for row in value]
    assert len({row.sum().item() for row in drawn}) == len(drawn) == 9
    limit = 48**-0.5
    assert all(0.9 * limit < float(row.detach().abs().max()) <= limit for row in drawn)


def test_dropout_is_of_what_the_update_reads() -> None:
    linear = nn.Linear(40, 6).requires_grad_(False)
    part = LoRALinear(linear, lora(dropout=0.5), [0], 1, torch.Generator().manual_seed(0))
    values = torch.randn(4, 40)
    assert torch.equal(part(values), linear(values)), "of the frozen map nothing is dropped"
    nn.init.normal_(part.up)
    assert not torch.equal(part(values), part.eval()(values))
    torch.testing.assert_close(part(values), part.merged()(values))
