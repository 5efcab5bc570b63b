"""The classifier on ELMo: what is frozen, what is trained, what padding may not change."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models import (
    ElmoClassifier,
    ElmoClassifierHead,
    load_elmo,
    load_elmo_classifier,
    save_elmo,
    save_elmo_classifier,
)
from seedbed.models.elmo_classifier import BiLSTMReader, BiLSTMReaderConfig, MeanReaderConfig
from tests.models.elmos import ENGLISH, KOREAN, make_elmo, spelled

READERS = [{"name": "mean"}, {"name": "bilstm", "hidden_size": 9}]
EVERY = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader["name"])


def make(reader: dict[str, object], dropout: float = 0.5, **mix: object) -> ElmoClassifier:
    head = ElmoClassifierHead.parse({"reader": reader, "dropout": dropout, "mix": mix}, "head")
    return head.build_on(make_elmo(dropout=0.5), num_labels=4, seed=2)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    characters, lengths = spelled(KOREAN, ENGLISH)
    words = torch.arange(8) < lengths[:, None]
    words[:, 0] = False  # as a mark
    return characters, lengths, words


@EVERY
def test_the_elmo_stays_as_it_is(reader: dict[str, object]) -> None:
    classifier = make(reader).train()
    assert classifier.training and not classifier.elmo.training and not classifier.elmo.characters.training
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.1)
    classifier(*batch()).square().sum().backward()
    optimizer.step()
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("elmo."), name
    for name, parameter in classifier.named_parameters():
        assert (parameter.grad is None) == name.startswith("elmo."), name


@EVERY
def test_padding_changes_no_logit(reader: dict[str, object]) -> None:
    classifier = make(reader).double().eval()
    characters, lengths, words = batch()
    together = classifier(characters, lengths, words)
    for row, length in enumerate(lengths.tolist()):
        part = slice(row, row + 1)
        alone = classifier(characters[part, :length], lengths[part], words[part, :length])
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-12)


def test_the_mean_is_over_words_alone() -> None:
    classifier = make({"name": "mean"}).double().eval()
    characters, lengths, words = batch()
    layers = classifier.elmo(characters, lengths).mean(0)
    expected = torch.stack([layers[0, 1:6].mean(0), layers[1, 1:8].mean(0)])
    torch.testing.assert_close(
        classifier(characters, lengths, words), classifier.out(expected), rtol=0, atol=1e-12
    )
    nothing = classifier(characters, lengths, torch.zeros_like(words))
    torch.testing.assert_close(nothing, classifier.out.bias.expand(2, 4), rtol=0, atol=0)


def test_the_bilstm_begins_at_each_rows_own_end() -> None:
    reader = BiLSTMReaderConfig(name="bilstm", hidden_size=9).build(24)
    reader.initialise(torch.Generator().manual_seed(0))
    assert isinstance(reader, BiLSTMReader) and isinstance(reader.lstm, nn.LSTM)
    features = torch.randn((2, 6, 24))
    found = reader(features, torch.tensor([4, 6]))
    torch.testing.assert_close(found[0, :4], reader.lstm(features[:1, :4])[0][0])
    assert found.shape == (2, 6, BiLSTMReaderConfig(name="bilstm", hidden_size=9).size(24))
    assert MeanReaderConfig(name="mean").size(24) == 24
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert reader(features.bfloat16(), torch.tensor([4, 6])).dtype == torch.float32


def test_dropout_is_of_training_alone_and_of_the_head_alone() -> None:
    classifier = make({"name": "mean"}).train()
    torch.manual_seed(0)
    assert not torch.equal(classifier(*batch()), classifier(*batch()))
    still = make({"name": "mean"}, dropout=0.0).train()
    assert torch.equal(still(*batch()), still(*batch()))


@EVERY
def test_a_folder_gives_the_same_logits_back(reader: dict[str, object], tmp_path: Path) -> None:
    classifier = make(reader, layer_norm=True, l2=0.1).eval()
    save_elmo_classifier(tmp_path, classifier, labels=("가", "나", "c", "d"))
    again = load_elmo_classifier(tmp_path).eval()
    assert again.config == classifier.config
    assert torch.equal(again(*batch()), classifier(*batch()))


def test_the_folder_of_an_elmo_alone_is_told(tmp_path: Path) -> None:
    save_elmo(tmp_path, make_elmo())
    with pytest.raises(UserError, match=r"config.json: head"):
        load_elmo_classifier(tmp_path)
    save_elmo_classifier(tmp_path, make({"name": "mean"}), labels=("a", "b", "c", "d"))
    with pytest.raises(UserError, match="tensor"):
        load_elmo(tmp_path)


def test_weights_follow_the_seed() -> None:
    first, again = (make(READERS[1]).state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
