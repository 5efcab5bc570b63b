"""A small ELMo, and texts spelled for it."""

import torch
from torch import Tensor

from seedbed.models import Elmo, ElmoConfig
from seedbed.tokenization import spell_all

MAX_CHARACTERS = 20
KOREAN = ["모든", "인간은", "태어날", "때부터", "자유로우며", "존엄과"]
ENGLISH = ["All", "human", "beings", "are", "born", "free", "and", "equal"]


def small_elmo(**changes: object) -> ElmoConfig:
    config: dict[str, object] = {
        "name": "elmo",
        "characters": {
            "character_size": 8,
            "max_characters": MAX_CHARACTERS,
            "filters": [[1, 8], [2, 8], [3, 16]],
            "num_highways": 2,
        },
        "projection_size": 12,
        "cell_size": 20,
        "num_layers": 2,
        "dropout": 0.0,
        "max_length": 10,
    }
    return ElmoConfig.parse(config | changes, "elmo")


def make_elmo(**changes: object) -> Elmo:
    return small_elmo(**changes).build(vocabulary_size=30, seed=3)


def spelled(*texts: list[str]) -> tuple[Tensor, Tensor]:
    """characters_BLC, 0 in padding, and lengths_B."""
    lengths = [len(words) for words in texts]
    characters = torch.zeros((len(texts), max(lengths), MAX_CHARACTERS), dtype=torch.int16)
    for row, words in zip(characters, texts, strict=True):
        row[: len(words)] = torch.from_numpy(spell_all(words, max_characters=MAX_CHARACTERS))
    return characters, torch.tensor(lengths)
