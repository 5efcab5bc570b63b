"""Packed texts give the logits and gradients of padded ones."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.data.arrangements import pack
from seedbed.models import build_sequence_classifier, token_classifier_on
from seedbed.models.encoder import Family
from seedbed.models.packed import Packed
from tests.models.families import FAMILIES, shake, small, vocabulary_of

LENGTHS = [24, 3, 11, 9, 17, 2, 24, 5]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


def texts(family: Family) -> dict[str, Tensor]:
    vocabulary = vocabulary_of(family)
    ids_BL = torch.randint(5, vocabulary.size, (8, 24), generator=torch.Generator().manual_seed(0))
    mask_BL = (torch.arange(24) < torch.tensor(LENGTHS)[:, None]).long()
    types_BL = (torch.arange(24) > 6).long() * mask_BL * (family != "roberta")
    ids_BL = ids_BL.masked_fill(mask_BL == 0, vocabulary.pad_id)
    return {"input_ids_BL": ids_BL, "attention_mask_BL": mask_BL, "token_type_ids_BL": types_BL}


def differences(network: nn.Module, batch: dict[str, Tensor], labels: Tensor) -> list[tuple[str, float]]:
    """Of the logits at labelled places and of every gradient, each relative to the largest, at least 1."""
    found = []
    for packed in (None, torch.from_numpy(pack(batch["attention_mask_BL"].sum(1).numpy(), 24))):
        made = copy.deepcopy(network)
        logits = made(**batch, packed_RP=packed)
        F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100).backward()
        grads = {name: value.grad for name, value in made.named_parameters()}
        found.append({"logits": logits.detach()[labels != -100]} | grads)
    padded, packed = found
    return [
        (name, float((value - packed[name]).abs().max()) / max(1.0, float(value.abs().max())))
        for name, value in padded.items()
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
@pytest.mark.parametrize("head", ["sequence", "tokens"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_logits_and_gradients(family: Family, head: str, dtype: torch.dtype) -> None:
    batch = texts(family)
    network: nn.Module = build_sequence_classifier(small(family), vocabulary_of(family), num_labels=5)
    labels = torch.arange(8) % 5
    if head == "tokens":
        network = token_classifier_on(small(family).build(vocabulary_of(family)), num_labels=5)
        labels = (batch["input_ids_BL"] % 5).masked_fill(batch["attention_mask_BL"] == 0, -100)
    shake(network)
    for name, difference in differences(network.to(dtype), batch, labels):
        assert difference <= TOLERANCE[dtype], f"{name} differs by {difference:g}"


def test_a_text_knows_nothing_of_its_neighbours() -> None:
    """To the bit: its row is the same whatever the other texts in it say."""
    batch = texts("electra")
    encoder = small("electra").build(vocabulary_of("electra"))
    packed_RP = torch.from_numpy(pack(batch["attention_mask_BL"].sum(1).numpy(), 24))
    first_BLD = encoder(**batch, packed_RP=packed_RP)
    others = batch["input_ids_BL"].clone()
    others[1:] = others[1:].roll(1, 1).masked_fill(batch["attention_mask_BL"][1:] == 0, 0)
    second_BLD = encoder(**batch | {"input_ids_BL": others}, packed_RP=packed_RP)
    assert torch.equal(first_BLD[0], second_BLD[0]) and not torch.equal(first_BLD[1], second_BLD[1])
    assert float(first_BLD[batch["attention_mask_BL"] == 0].detach().abs().max()) == 0


def test_places_are_those_of_the_rows() -> None:
    packed = Packed(torch.tensor([[3, 4, 5], [0, 1, -1]]), (2, 3))
    assert packed.places_BL.tolist() == [[3, 4, -1], [0, 1, 2]]
    assert packed.positions_RP.tolist() == [[0, 1, 2], [0, 1, 0]]
    assert packed.rows_of(torch.arange(10, 16).view(2, 3), empty=-7).tolist() == [[13, 14, 15], [10, 11, -7]]
    alone = packed.bias(torch.float32)[1, 0] == 0
    assert alone.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
