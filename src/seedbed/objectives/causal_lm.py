"""Causal language modelling: each token from those before it (Radford et al. 2018, GPT, section 3.1).

Shapes: B rows, L positions, N = B * L positions of all rows, D hidden size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from seedbed.config import Strict
from seedbed.data.packing import Ids, Prepare
from seedbed.learner import Accumulator, Batch, Learner
from seedbed.models import Decoder, DecoderConfig, save_decoder
from seedbed.models.vocabulary_loss import VocabularyLoss, vocabulary_loss
from seedbed.objectives.masked_lm import PerplexityAccumulator
from seedbed.tokenization import Vocabulary


class CausalLMConfig(Strict):
    """Predict the next token, at every position."""

    name: Literal["causal_lm"]

    network: ClassVar[str] = "decoder"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    def prepare(self, vocabulary: Vocabulary) -> Prepare:
        """What turns (rows_BL, their draws, seed) into a batch; the labels come with the rows."""
        return unchanged

    def build(self, decoder: DecoderConfig, vocabulary: Vocabulary, *, seed: int = 0) -> "CausalLM":
        """A new Learner, its weights a function of `seed` alone."""
        return CausalLM(decoder.build(vocabulary, seed=seed))


def unchanged(rows_BL: Ids, draws: int | Ids, seed: int) -> dict[str, Tensor]:
    """Nothing is drawn and nothing hidden."""
    return {"input_ids": torch.from_numpy(rows_BL)}


class CausalLM(Learner):
    """A decoder and its loss over all positions; the logits of all of them never exist together."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def predict(self, batch: Batch, *, count_correct: bool = False) -> VocabularyLoss:
        """Summed loss over all positions."""
        return vocabulary_loss(
            self.decoder(batch["input_ids"]).flatten(0, 1),
            *self.decoder.output_weights(),
            batch["labels"].flatten(),
            count_correct=count_correct,
        )

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"tokens": torch.tensor(batch["labels"].numel())}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.predict(batch).total / counts["tokens"]}

    def scores(self) -> PerplexityAccumulator:
        return PerplexityAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, PerplexityAccumulator)
        found = self.predict(batch, count_correct=True)
        count = batch["labels"].numel()
        accumulator.add_mean("loss", found.total, count)
        accumulator.add_mean("accuracy", found.correct_N.sum(), count)

    def save(self, folder: Path) -> None:
        """Write the Hugging Face layout."""
        save_decoder(folder, self.decoder)
