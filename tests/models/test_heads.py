"""Heads beyond their agreement with the reference: dropout and seeds."""

import pytest
import torch
from torch import nn

from seedbed.models import build_sequence_classifier, classifier_on
from seedbed.models.encoder import Family
from tests.models.families import FAMILIES, rows, small, vocabulary_of


@pytest.mark.parametrize("family", FAMILIES)
def test_classifier_weights_follow_the_seed(family: Family) -> None:
    config, vocabulary = small(family), vocabulary_of(family)
    first, again, other = (
        build_sequence_classifier(config, vocabulary, num_labels=3, seed=seed).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["head.dense.weight"], other["head.dense.weight"])
    assert not torch.equal(first["encoder.embeddings.token.weight"], other["encoder.embeddings.token.weight"])


@pytest.mark.parametrize("family", FAMILIES)
def test_head_dropout_is_its_own(family: Family) -> None:
    encoder = small(family).build(vocabulary_of(family))
    ids = rows(family, padded=False)["input_ids"]
    silent = classifier_on(encoder, num_labels=3)
    assert torch.equal(silent(ids), silent(ids))
    noisy = classifier_on(encoder, num_labels=3, dropout=0.5)
    assert not torch.equal(noisy(ids), noisy(ids))
    noisy.eval()
    assert torch.equal(noisy(ids), silent(ids))


def test_a_trained_pooler_takes_the_place_of_a_new_one() -> None:
    encoder = small("bert").build(vocabulary_of("bert"))
    pooler = nn.Linear(48, 48)
    taken = classifier_on(encoder, num_labels=3, seed=4, pooler=pooler)
    new = classifier_on(encoder, num_labels=3, seed=4)
    assert torch.equal(taken.head.dense.weight, pooler.weight)
    assert torch.equal(taken.head.dense.bias, pooler.bias)
    assert torch.equal(taken.head.out.weight, new.head.out.weight)
    assert not torch.equal(new.head.dense.weight, pooler.weight)
    assert taken.head.dense.weight is not pooler.weight
