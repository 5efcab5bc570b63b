"""Masked language modelling: BERT (arXiv 1810.04805, section 3.1), RoBERTa (1907.11692, section 4.1).

Shapes: B rows, L positions, N masked positions, D hidden size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from seedbed.config import Strict
from seedbed.learner import Accumulator, Batch, Learner, MeanAccumulator
from seedbed.metrics import perplexity
from seedbed.models import Encoder, EncoderConfig, MaskedLMHead, save_pretrained
from seedbed.models.vocabulary_loss import VocabularyLoss, vocabulary_loss
from seedbed.objectives.masking import Masker, Masking
from seedbed.tokenization import Vocabulary


class MaskedLMConfig(Strict):
    """Predict the hidden tokens; the published shares are 15 %, of these 80 / 10 / 10."""

    name: Literal["masked_lm"]
    masking: Masking = Field(default_factory=lambda: Masking(share=0.15, mask=0.8, random=0.1, keep=0.1))

    network: ClassVar[str] = "encoder"
    needs: ClassVar[frozenset[str]] = frozenset()

    def prepare(self, vocabulary: Vocabulary) -> Masker:
        """What turns (rows_BL, their draws, seed) into a batch."""
        return self.masking.prepare(vocabulary)

    def build(self, encoder: EncoderConfig, vocabulary: Vocabulary, *, seed: int = 0) -> "MaskedLM":
        """A new Learner, its weights a function of `seed` alone."""
        head = MaskedLMHead(encoder, vocabulary_size=vocabulary.size)
        encoder.initialise(head, seed=seed + 1)
        return MaskedLM(encoder.build(vocabulary, seed=seed), head)


class PerplexityAccumulator(MeanAccumulator):
    """Means, and the perplexity of the mean loss."""

    def results(self) -> dict[str, float]:
        found = super().results()
        total, count = self.sums["loss/total"], self.sums["loss/count"]
        return found | {"perplexity": perplexity(float(total), float(count))}


class MaskedLM(Learner):
    """An encoder with a token prediction head; logits exist at masked positions only."""

    def __init__(self, encoder: Encoder, head: MaskedLMHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def predict(self, batch: Batch, *, count_correct: bool = False) -> VocabularyLoss:
        """Summed loss over the masked positions."""
        hidden_ND = self.encoder(
            batch["input_ids"],
            batch.get("attention_mask"),
            batch.get("token_type_ids"),
            selected_N=batch["masked_index"],
        )
        return self.predict_from(hidden_ND, batch, count_correct=count_correct)

    def predict_from(self, hidden_ND: Tensor, batch: Batch, *, count_correct: bool = False) -> VocabularyLoss:
        """The same from the encoder's vectors at the masked positions."""
        return vocabulary_loss(
            self.head(hidden_ND),
            self.encoder.embeddings.token.weight,
            self.head.bias,
            batch["labels"],
            uniforms_N=batch.get("sampling_uniform"),
            count_correct=count_correct,
        )

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"masked": torch.tensor(len(batch["labels"]))}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.predict(batch).total / counts["masked"]}

    def scores(self) -> PerplexityAccumulator:
        return PerplexityAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, PerplexityAccumulator)
        found = self.predict(batch, count_correct=True)
        count = len(batch["labels"])
        accumulator.add_mean("loss", found.total, count)
        accumulator.add_mean("accuracy", found.correct_N.sum(), count)

    def save(self, folder: Path, *, tokenizer_folder: Path | None = None) -> None:
        """Write the Hugging Face layout."""
        save_pretrained(folder, self.encoder, head=self.head, tokenizer_folder=tokenizer_folder)
