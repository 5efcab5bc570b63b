"""BERT's objective: masked LM and the prediction of the next sentence (arXiv 1810.04805, section 3.1).

Shapes: B rows, L positions, N masked positions, D hidden size, C = 2 classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from seedbed.config import Strict, UserError
from seedbed.learner import Accumulator, Batch, Learner
from seedbed.models import EncoderConfig, MaskedLMHead, NextSentenceHead, PretrainingHeads, save_pretrained
from seedbed.models.vocabulary_loss import VocabularyLoss
from seedbed.objectives.masked_lm import MaskedLM, PerplexityAccumulator
from seedbed.objectives.masking import Masker, Masking
from seedbed.tokenization import Vocabulary


class NextSentenceConfig(Strict):
    """Masked LM, and from the pooled first position whether B follows A; the two mean losses are added."""

    name: Literal["next_sentence"]
    masking: Masking = Field(default_factory=lambda: Masking(share=0.15, mask=0.8, random=0.1, keep=0.1))

    network: ClassVar[str] = "encoder"
    needs: ClassVar[frozenset[str]] = frozenset({"token_type_ids", "next_sentence_labels"})

    def prepare(self, vocabulary: Vocabulary) -> Masker:
        """What turns (rows_BL, their draws, seed) into a batch; token types and labels come with the rows."""
        return self.masking.prepare(vocabulary)

    def build(self, encoder: EncoderConfig, vocabulary: Vocabulary, *, seed: int = 0) -> "NextSentence":
        """A new Learner, its weights a function of `seed` alone."""
        if encoder.family != "bert":
            raise UserError(
                f"encoder.family: {encoder.family} with objective next_sentence, whose layout is BERT's; "
                "take an encoder of family bert, or objective masked_lm"
            )
        if encoder.num_token_types < 2:
            raise UserError(
                f"encoder.num_token_types: {encoder.num_token_types} with objective next_sentence, which "
                "tells two segments apart; take 2"
            )
        tokens, sentence = MaskedLMHead(encoder, vocabulary_size=vocabulary.size), NextSentenceHead(encoder)
        encoder.initialise(tokens, seed=seed + 1)
        encoder.initialise(sentence, seed=seed + 2)
        return NextSentence(MaskedLM(encoder.build(vocabulary, seed=seed), tokens), sentence)


class NextSentenceAccumulator(PerplexityAccumulator):
    """Means of both tasks; `loss` is the sum of the two mean losses, `perplexity` that of the masked LM."""

    def results(self) -> dict[str, float]:
        found = super().results()
        return found | {
            "loss": found["loss"] + found["next_sentence_loss"],
            "masked_lm_loss": found["loss"],
        }


class NextSentence(Learner):
    """A masked LM whose encoder also feeds the pooler and its two classes."""

    def __init__(self, masked_lm: MaskedLM, head: NextSentenceHead) -> None:
        super().__init__()
        self.masked_lm = masked_lm
        self.head = head

    def _forward(self, batch: Batch, *, count_correct: bool) -> tuple[VocabularyLoss, Tensor]:
        """The masked LM's summed loss, and logits_BC."""
        B, L = batch["input_ids"].shape
        first_B = torch.arange(0, B * L, L, device=batch["input_ids"].device)
        hidden = self.masked_lm.encoder(
            batch["input_ids"],
            batch.get("attention_mask"),
            batch["token_type_ids"],
            selected_N=torch.cat([first_B, batch["masked_index"]]),
        )
        predicted = self.masked_lm.predict_from(hidden[B:], batch, count_correct=count_correct)
        logits_BC = self.head(hidden[:B])
        return predicted, logits_BC.to(torch.promote_types(logits_BC.dtype, torch.float32))

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Masked tokens, and rows, each of which has one label."""
        return self.masked_lm.counts(batch) | {"rows": torch.tensor(len(batch["next_sentence_labels"]))}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        predicted, logits_BC = self._forward(batch, count_correct=False)
        masked_lm_loss = predicted.total / counts["masked"]
        total = F.cross_entropy(logits_BC, batch["next_sentence_labels"], reduction="sum")
        next_sentence_loss = total / counts["rows"]
        return {
            "loss": masked_lm_loss + next_sentence_loss,
            "masked_lm_loss": masked_lm_loss,
            "next_sentence_loss": next_sentence_loss,
        }

    def scores(self) -> NextSentenceAccumulator:
        return NextSentenceAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, NextSentenceAccumulator)
        predicted, logits_BC = self._forward(batch, count_correct=True)
        num_masked, labels_B = len(batch["labels"]), batch["next_sentence_labels"]
        accumulator.add_mean("loss", predicted.total, num_masked)
        accumulator.add_mean("accuracy", predicted.correct_N.sum(), num_masked)
        total = F.cross_entropy(logits_BC.double(), labels_B, reduction="sum")
        accumulator.add_mean("next_sentence_loss", total, len(labels_B))
        accumulator.add_mean(
            "next_sentence_accuracy", (logits_BC.argmax(-1) == labels_B).sum(), len(labels_B)
        )

    def save(self, folder: Path, *, tokenizer_folder: Path | None = None) -> None:
        """Write the Hugging Face layout of BertForPreTraining: the pooler was trained, so it is there."""
        heads = PretrainingHeads(self.masked_lm.head, self.head)
        save_pretrained(folder, self.masked_lm.encoder, head=heads, tokenizer_folder=tokenizer_folder)
