"""A classifier on a decoder: class logits from the last position, which has read all that stands before it.

Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", sections 3.2 and 3.3.
Shapes: B examples, R rows (B, or 2B where both orders are read), L positions, D hidden size, C classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seedbed.models.decoder import Decoder
from seedbed.models.dropout import drop


class Read(NamedTuple):
    """What the decoder read, and its vectors."""

    input_ids_RL: Tensor
    attention_mask_RL: Tensor
    hidden_RLD: Tensor


class DecoderClassifier(nn.Module):
    """A decoder, and a matrix without bias from its vector at the last token of a row to classes."""

    def __init__(
        self, decoder: Decoder, *, num_labels: int, dropout: float, swapped_at: int | None = None
    ) -> None:
        """`swapped_at` is the delimiter's id where a pair is also read the other way round."""
        super().__init__()
        self.decoder = decoder
        self.num_labels = num_labels
        self.dropout = dropout
        self.swapped_at = swapped_at
        self.out = nn.Linear(decoder.config.hidden_size, num_labels, bias=False)

    def forward(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor,
        token_type_ids_BL: Tensor | None = None,
    ) -> Tensor:
        """logits_BC; a decoder knows no token types."""
        del token_type_ids_BL
        rows_RL, mask_RL = self._orders(input_ids_BL, attention_mask_BL)
        last_RD = self.decoder(rows_RL, selected_N=_last(mask_RL))
        return self._classify(last_RD)

    def read(self, input_ids_BL: Tensor, attention_mask_BL: Tensor) -> Read:
        """The vectors of all positions, for `classify` and for the language model's loss."""
        rows_RL, mask_RL = self._orders(input_ids_BL, attention_mask_BL)
        return Read(rows_RL, mask_RL, self.decoder(rows_RL))

    def classify(self, read: Read) -> Tensor:
        """logits_BC of what `read` returned."""
        return self._classify(read.hidden_RLD.flatten(0, 1)[_last(read.attention_mask_RL)])

    def _orders(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, Tensor]:
        if self.swapped_at is None:
            return ids_BL, mask_BL
        swapped_BL = swap_parts(ids_BL, mask_BL, delimiter=self.swapped_at)
        return torch.cat([ids_BL, swapped_BL]), torch.cat([mask_BL, mask_BL])

    def _classify(self, last_RD: Tensor) -> Tensor:
        """The vectors of both orders are added (section 3.3)."""
        last_BD = last_RD if self.swapped_at is None else torch.stack(last_RD.chunk(2)).sum(0)
        logits_BC: Tensor = self.out(drop(last_BD, self.dropout, self.training))
        return logits_BC


def _last(mask_RL: Tensor) -> Tensor:
    """Indices into R*L of each row's last token."""
    rows, length = mask_RL.shape
    return torch.arange(rows, device=mask_RL.device) * length + mask_RL.sum(1) - 1


def swap_parts(ids_BL: Tensor, mask_BL: Tensor, *, delimiter: int) -> Tensor:
    """[start; a; delimiter; b; extract] to [start; b; delimiter; a; extract], padding as it is."""
    place_L = torch.arange(ids_BL.shape[1], device=ids_BL.device).expand_as(ids_BL)
    middle_B1 = (ids_BL == delimiter).int().argmax(1, keepdim=True)
    end_B1 = mask_BL.sum(1, keepdim=True) - 1
    second_B1 = end_B1 - middle_B1 - 1  # tokens of b
    from_BL = torch.where(place_L <= second_B1, place_L + middle_B1, place_L - second_B1 - 1)
    from_BL = torch.where(place_L == second_B1 + 1, middle_B1, from_BL)
    from_BL = torch.where((place_L == 0) | (place_L >= end_B1), place_L, from_BL)
    return ids_BL.gather(1, from_BL)


def with_tokens(decoder: Decoder, ids: Sequence[int], *, seed: int) -> Decoder:
    """The decoder with new vectors for `ids`, a function of `seed`; it grows where rows for them lack."""
    generator = torch.Generator().manual_seed(seed)
    size, std = max(decoder.vocabulary_size, max(ids) + 1), decoder.config.initializer_range
    tables = [decoder.token.weight] + ([] if decoder.output is None else [decoder.output.weight])
    grown = []
    for old_VD in tables:
        table_VD = torch.zeros(size, old_VD.shape[1])
        table_VD[: len(old_VD)] = old_VD.detach()
        table_VD[list(ids)] = torch.randn(len(ids), old_VD.shape[1], generator=generator) * std
        grown.append(nn.Parameter(table_VD))
    decoder.token = nn.Embedding(size, decoder.config.hidden_size, _weight=grown[0])
    if decoder.output is not None:
        bias_V = torch.zeros(size)
        bias_V[: decoder.vocabulary_size] = decoder.output.bias.detach()
        bias_V[list(ids)] = 0.0
        decoder.output = nn.Linear(decoder.config.hidden_size, size)
        decoder.output.weight, decoder.output.bias = grown[1], nn.Parameter(bias_V)
    decoder.vocabulary_size = size
    return decoder


def classifier_on_decoder(
    decoder: Decoder, *, num_labels: int, dropout: float, swapped_at: int | None = None, seed: int = 0
) -> DecoderClassifier:
    """A new head, its weights a function of `seed` alone, on a decoder as it is."""
    classifier = DecoderClassifier(decoder, num_labels=num_labels, dropout=dropout, swapped_at=swapped_at)
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(classifier.out.weight, std=decoder.config.initializer_range, generator=generator)
    return classifier
