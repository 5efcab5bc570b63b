"""A word's vector from its characters: convolutions, the largest value over time, highways, a projection.

Kim et al. 2015 (arXiv 1508.06615), section 2; Jozefowicz et al. 2016 (arXiv 1602.02410), section 3.3;
highways of Srivastava et al. 2015 (arXiv 1505.00387); the sizes of ELMo. Shapes: N words, C characters of
a word, E size of a character, F filters of all widths.
"""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import Strict

NUM_CHARACTERS = 262
"""Of seedbed.tokenization.characters; 0 is no word."""


class CharacterCNNConfig(Strict):
    """The sizes, by default ELMo's."""

    character_size: int = Field(16, ge=1, description="numbers that stand for one character (byte)")
    max_characters: int = Field(50, ge=3, description="of a word with its two marks; more are cut")
    filters: tuple[tuple[int, int], ...] = Field(
        ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)),
        min_length=1,
        description="width in characters and number of filters, of each convolution",
    )
    num_highways: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (widest := max(width for width, _ in self.filters)) > self.max_characters:
            raise ValueError(f"a filter of width {widest} does not fit max_characters {self.max_characters}")
        return self

    @property
    def num_filters(self) -> int:
        return sum(number for _, number in self.filters)


class Highway(nn.Module):
    """x -> g relu(W x + b) + (1 - g) x with a gate g of its own weights; it begins by carrying most of x."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.transform = nn.Linear(size, size)
        self.gate = nn.Linear(size, size)

    def forward(self, words_NF: Tensor) -> Tensor:
        return torch.lerp(words_NF, F.relu(self.transform(words_NF)), torch.sigmoid(self.gate(words_NF)))


class CharacterCNN(nn.Module):
    """characters_NC -> words_ND; row 0 of a position without a word is a vector like any other."""

    def __init__(self, config: CharacterCNNConfig, *, projection_size: int) -> None:
        super().__init__()
        self.config = config
        self.character = nn.Embedding(NUM_CHARACTERS, config.character_size)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.character_size, number, width) for width, number in config.filters
        )
        self.highways = nn.ModuleList(Highway(config.num_filters) for _ in range(config.num_highways))
        self.projection = nn.Linear(config.num_filters, projection_size)

    def forward(self, characters_NC: Tensor) -> Tensor:
        """words_ND."""
        embedded_NEC = self.character(self._trimmed(characters_NC)).transpose(1, 2)
        words_NF = torch.cat([F.relu(part(embedded_NEC).amax(-1)) for part in self.convolutions], -1)
        for highway in self.highways:
            words_NF = highway(words_NF)
        words_ND: Tensor = self.projection(words_NF)
        return words_ND

    def _trimmed(self, characters_NC: Tensor) -> Tensor:
        """Without the filler at the end that all words share, but for one window of it.

        A filter sees the same in every window of filler alone, so its largest value stays the same.
        """
        last_N = characters_NC[:, -1:]
        used = int((characters_NC != last_N).any(0).sum()) if len(characters_NC) else 0
        widest = max(width for width, _ in self.config.filters)
        return characters_NC[:, : used + widest].long()

    def initialise(self, generator: torch.Generator) -> None:
        """As the released code: characters in [-1, 1], filters in [-0.05, 0.05], gates carrying."""
        nn.init.uniform_(self.character.weight, -1, 1, generator=generator)
        for part in self.convolutions:
            assert isinstance(part, nn.Conv1d) and part.bias is not None
            nn.init.uniform_(part.weight, -0.05, 0.05, generator=generator)
            nn.init.zeros_(part.bias)
        for name, linear in self.named_modules():
            if isinstance(linear, nn.Linear):
                nn.init.normal_(linear.weight, std=linear.in_features**-0.5, generator=generator)
                nn.init.constant_(linear.bias, -2.0 if name.endswith("gate") else 0.0)
