"""ELMo's bidirectional language model: one character CNN, LSTMs for each direction, one output matrix.

Peters et al. 2018 (arXiv 1802.05365), sections 3.1 and 3.4. Shapes: B rows, L positions, C characters of a
word, D projection size, K layers with that of the words themselves.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.models.character_cnn import CharacterCNN, CharacterCNNConfig
from seedbed.models.dropout import drop
from seedbed.models.projected_lstm import ProjectedLSTM


class ElmoConfig(Strict):
    """The sizes, by default the published ones; the vocabulary of the output is the objective's."""

    name: Literal["elmo"]
    characters: CharacterCNNConfig = Field(default_factory=CharacterCNNConfig)
    projection_size: int = Field(512, ge=1, description="of a word's vector and of what an LSTM gives out")
    cell_size: int = Field(4096, ge=1)
    num_layers: int = Field(2, ge=1, description="LSTMs of each direction")
    cell_clip: float | None = Field(3.0, gt=0, description="largest magnitude of a cell; null: any")
    projection_clip: float | None = Field(3.0, gt=0, description="the same of an LSTM's output")
    dropout: float = Field(0.1, ge=0, lt=1, description="of what each LSTM and the output matrix read")
    max_length: int = Field(
        ge=2, description="words of a row in pretraining; the LSTMs read rows of any length"
    )

    def build(self, *, vocabulary_size: int, seed: int = 0) -> "Elmo":
        """A new model that predicts `vocabulary_size` words, its weights a function of `seed` alone."""
        elmo = Elmo(self, vocabulary_size=vocabulary_size)
        generator = torch.Generator().manual_seed(seed)
        elmo.characters.initialise(generator)
        for lstm in (*elmo.forward_layers, *elmo.backward_layers):
            assert isinstance(lstm, ProjectedLSTM)
            lstm.initialise(generator)
        nn.init.normal_(elmo.output.weight, std=self.projection_size**-0.5, generator=generator)
        nn.init.zeros_(elmo.output.bias)
        return elmo


class Elmo(nn.Module):
    """Spelled words to the layers that are ELMo; `output` gives the logits of either direction's last one."""

    def __init__(self, config: ElmoConfig, *, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config
        self.characters = CharacterCNN(config.characters, projection_size=config.projection_size)
        self.forward_layers, self.backward_layers = (
            nn.ModuleList(
                ProjectedLSTM(
                    config.projection_size,
                    cell_size=config.cell_size,
                    projection_size=config.projection_size,
                    cell_clip=config.cell_clip,
                    projection_clip=config.projection_clip,
                )
                for _ in range(config.num_layers)
            )
            for _ in range(2)
        )
        self.output = nn.Linear(config.projection_size, vocabulary_size)

    @property
    def num_layers(self) -> int:
        """K: the words' own vectors and every LSTM."""
        return 1 + self.config.num_layers

    def forward(self, characters_BLC: Tensor, lengths_B: Tensor) -> Tensor:
        """layers_KBLE with E = 2 D, both directions side by side; padding behind `lengths_B` changes nothing.

        Of a position's layers the forward half knows what stands up to it, the backward half what stands
        from it on; the first layer, which knows the word alone, is there twice.
        """
        words_BLD = self.characters(characters_BLC.flatten(0, 1)).unflatten(0, characters_BLC.shape[:2])
        layers = [
            torch.cat([before, after], -1)
            for before, after in zip(
                [words_BLD, *self.read_forward(words_BLD)],
                [words_BLD, *self.read_backward(words_BLD, lengths_B)],
                strict=True,
            )
        ]
        return torch.stack(layers)

    def read_forward(self, words_BLD: Tensor) -> list[Tensor]:
        """hidden_BLD of each LSTM, read from the left."""
        return self._read(self.forward_layers, words_BLD)

    def read_backward(self, words_BLD: Tensor, lengths_B: Tensor | None = None) -> list[Tensor]:
        """hidden_BLD of each LSTM, read from each row's last word; without lengths every row is full."""
        length = words_BLD.shape[1]
        places_L = torch.arange(length, device=words_BLD.device)
        lengths_B1 = places_L.new_full((1, 1), length) if lengths_B is None else lengths_B[:, None]
        # its own inverse: a row's words in the other order, its padding where it was
        order_BL1 = torch.where(places_L < lengths_B1, lengths_B1 - 1 - places_L, places_L)[..., None]

        def turned(hidden_BLD: Tensor) -> Tensor:
            return hidden_BLD.take_along_dim(order_BL1, 1)

        return [turned(hidden) for hidden in self._read(self.backward_layers, turned(words_BLD))]

    def _read(self, layers: nn.ModuleList, words_BLD: Tensor) -> list[Tensor]:
        """From the second LSTM on what it read is added, dropout and all, as in the released code."""
        hidden, found = words_BLD, []
        for number, lstm in enumerate(layers):
            read = drop(hidden, self.config.dropout, self.training)
            hidden = lstm(read) if number == 0 else lstm(read) + read
            found.append(hidden)
        return found
