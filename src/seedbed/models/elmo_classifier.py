"""A classifier on ELMo's features: frozen layers, their mix, what reads the words, and class logits.

Peters et al. 2018 (arXiv 1802.05365), section 3.3: the biLM learns no more, its features get dropout.
Shapes: B rows, L positions, C characters of a word, E size of the features, K layers, R size of what is read.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seedbed.config import Strict
from seedbed.models.dropout import drop
from seedbed.models.elmo import Elmo
from seedbed.models.layers import initialise
from seedbed.models.scalar_mix import ScalarMix, ScalarMixConfig


class MeanReaderConfig(Strict):
    """The features as they are: nothing of a text's order but what ELMo knows."""

    name: Literal["mean"]

    def size(self, feature_size: int) -> int:
        """R."""
        return feature_size

    def build(self, feature_size: int) -> "MeanReader":
        return MeanReader()


class BiLSTMReaderConfig(Strict):
    """An LSTM in each direction over the features."""

    name: Literal["bilstm"]
    hidden_size: int = Field(ge=1, description="of each direction")

    def size(self, feature_size: int) -> int:
        return 2 * self.hidden_size

    def build(self, feature_size: int) -> "BiLSTMReader":
        return BiLSTMReader(feature_size, self.hidden_size)


Reader = Annotated[MeanReaderConfig | BiLSTMReaderConfig, Field(discriminator="name")]


class MeanReader(nn.Module):
    """features_BLE -> read_BLR, R = E."""

    def initialise(self, generator: torch.Generator) -> None:
        """There is nothing to fill."""

    def forward(self, features_BLE: Tensor, lengths_B: Tensor) -> Tensor:
        return features_BLE


class BiLSTMReader(nn.Module):
    """features_BLE -> read_BLR, in at least fp32; each direction begins at a row's own end."""

    def __init__(self, feature_size: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(feature_size, hidden_size, batch_first=True, bidirectional=True)

    def initialise(self, generator: torch.Generator) -> None:
        """As torch's LSTM: every weight in [-1, 1] / sqrt(hidden_size)."""
        for parameter in self.lstm.parameters():
            limit = self.lstm.hidden_size**-0.5
            nn.init.uniform_(parameter, -limit, limit, generator=generator)

    def forward(self, features_BLE: Tensor, lengths_B: Tensor) -> Tensor:
        exact_BLE = features_BLE.to(torch.promote_types(features_BLE.dtype, torch.float32))
        with torch.autocast(features_BLE.device.type, enabled=False):
            packed = pack_padded_sequence(exact_BLE, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
            read, _ = self.lstm(packed)
        read_BLR, _ = pad_packed_sequence(read, batch_first=True, total_length=features_BLE.shape[1])
        return read_BLR


class ElmoClassifierHead(Strict):
    """All that is trained on a frozen ELMo."""

    mix: ScalarMixConfig = Field(default_factory=ScalarMixConfig)
    reader: Reader = Field(
        description="what reads the features; the mean over a text's words goes on from there"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="of the features and of the mean")

    def build_on(
        self, elmo: Elmo, *, num_labels: int, tokens: bool = False, seed: int = 0
    ) -> "ElmoClassifier":
        """A new head, its weights a function of `seed` alone, on an ELMo as it is.

        With `tokens` it answers for each position.
        """
        kind = ElmoTokenClassifier if tokens else ElmoClassifier
        classifier = kind(elmo, self, num_labels=num_labels)
        generator = torch.Generator().manual_seed(seed)
        initialise(classifier.out, std=0.02, truncated=False, generator=generator)
        classifier.reader.initialise(generator)
        return classifier


class ElmoClassifier(nn.Module):
    """Class logits of spelled texts. The ELMo has no gradient and no dropout, in training too."""

    def __init__(self, elmo: Elmo, head: ElmoClassifierHead, *, num_labels: int) -> None:
        super().__init__()
        feature_size = 2 * elmo.config.projection_size
        self.config = head
        self.elmo = elmo.requires_grad_(False)
        self.mix = ScalarMix(head.mix, elmo.num_layers)
        self.reader = head.reader.build(feature_size)
        self.out = nn.Linear(head.reader.size(feature_size), num_labels)
        self.train()

    def train(self, mode: bool = True) -> "ElmoClassifier":
        super().train(mode)
        self.elmo.eval()
        return self

    def forward(self, characters_BLC: Tensor, lengths_B: Tensor, words_BL: Tensor) -> Tensor:
        """logits_BC; `words_BL` is 1 where a word stands, 0 at marks and padding."""
        read_BLR = self.read(characters_BLC, lengths_B)
        weights_BL = words_BL.to(read_BLR.dtype)
        total_BR = torch.einsum("bl,blr->br", weights_BL, read_BLR)
        mean_BR = total_BR / weights_BL.sum(1, keepdim=True).clamp(min=1)
        logits_BC: Tensor = self.out(drop(mean_BR, self.config.dropout, self.training))
        return logits_BC

    def read(self, characters_BLC: Tensor, lengths_B: Tensor) -> Tensor:
        """read_BLR, of all positions."""
        with torch.no_grad():
            layers_KBLE = self.elmo(characters_BLC, lengths_B)
        features_BLE = drop(self.mix(layers_KBLE), self.config.dropout, self.training)
        read_BLR: Tensor = self.reader(features_BLE, lengths_B)
        return read_BLR


class ElmoTokenClassifier(ElmoClassifier):
    """The same with logits of each position, from what is read there."""

    def forward(self, characters_BLC: Tensor, lengths_B: Tensor, words_BL: Tensor) -> Tensor:
        """logits_BLC."""
        read_BLR = self.read(characters_BLC, lengths_B)
        logits_BLC: Tensor = self.out(drop(read_BLR, self.config.dropout, self.training))
        return logits_BLC
