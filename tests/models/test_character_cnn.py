"""The character CNN against plain loops, on words of both languages."""

import pytest
import torch

from seedbed.config import UserError
from seedbed.models.character_cnn import CharacterCNN, CharacterCNNConfig, Highway
from seedbed.tokenization import spell_all

WORDS = ["a", "words", "인간은", "자유로우며", "😀", "e\u0301te\u0301", "x" * 30, None]


def make() -> CharacterCNN:
    config = CharacterCNNConfig(character_size=4, max_characters=20, filters=((1, 3), (4, 5)), num_highways=1)
    cnn = CharacterCNN(config, projection_size=6)
    cnn.initialise(torch.Generator().manual_seed(0))
    return cnn.double()


def spell(words: list[str | None]) -> torch.Tensor:
    return torch.from_numpy(spell_all(words, max_characters=20))


def test_filters_highways_and_projection_are_those_of_plain_loops() -> None:
    cnn, characters = make(), spell(WORDS)
    found = cnn(characters)
    highway = cnn.highways[0]
    assert isinstance(highway, Highway)
    for row, vector in zip(characters, found, strict=True):
        embedded = cnn.character.weight[row.long()]
        features = []
        for part in cnn.convolutions:
            assert isinstance(part, torch.nn.Conv1d) and part.bias is not None
            width = part.kernel_size[0]
            for filter_EW, bias in zip(part.weight, part.bias, strict=True):
                windows = [
                    (embedded[start : start + width].T * filter_EW).sum() + bias
                    for start in range(20 - width + 1)
                ]
                features.append(torch.stack(windows).max().clamp(min=0))
        word = torch.stack(features)
        gate = torch.sigmoid(highway.gate(word))
        word = gate * highway.transform(word).clamp(min=0) + (1 - gate) * word
        torch.testing.assert_close(cnn.projection(word), vector, rtol=0, atol=1e-12)


def test_a_word_is_the_same_whatever_stands_beside_it() -> None:
    cnn = make()
    together = cnn(spell(WORDS))
    for word, vector in zip(WORDS, together, strict=True):
        torch.testing.assert_close(cnn(spell([word]))[0], vector, rtol=0, atol=1e-12)


def test_gates_begin_by_carrying() -> None:
    highway = make().highways[0]
    assert isinstance(highway, Highway)
    assert highway.gate.bias.eq(-2).all() and highway.transform.bias.eq(0).all()


def test_a_filter_wider_than_a_word_is_told() -> None:
    with pytest.raises(UserError, match="a filter of width 9 does not fit max_characters 5"):
        CharacterCNNConfig.parse({"max_characters": 5, "filters": [[9, 2]]}, "characters")
