"""Sequence classification: an encoder, a head on its first position, and cross-entropy.

BERT (arXiv 1810.04805), section 4.1; heads as each family was published (see models/heads.py).
Shapes: B examples, C classes.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from seedbed import metrics
from seedbed.config import Strict
from seedbed.data.randomness import derive_seed
from seedbed.learner import Accumulator, Batch, Learner
from seedbed.models import (
    SequenceClassifier,
    build_sequence_classifier,
    classifier_on,
    load_encoder,
    load_pooler,
    load_sequence_classifier,
    save_pretrained,
)
from seedbed.tasks.encoded import EncodedExamples
from seedbed.tasks.examples import Example
from seedbed.tokenization import Vocabulary, load_tokenizer


class ClassificationScores(Accumulator):
    """Loss, accuracy and macro F1 from sums: the loss's total and the confusion counts."""

    def results(self) -> dict[str, float]:
        confusion_CC = self.sums["confusion"].numpy()
        count = float(confusion_CC.sum())
        _, _, macro_f1 = metrics.precision_recall_f1(confusion_CC, average="macro")
        return {
            "loss": float(self.sums["loss"]) / count,
            "accuracy": float(np.trace(confusion_CC)) / count,
            "macro_f1": float(macro_f1),
        }


class Classification(Learner):
    """What every fine-tuned classifier is trained and scored by; a subclass knows its network."""

    max_length: int | None = None
    """Most tokens of a text; None where the network takes any number."""

    @abstractmethod
    def encode(self, examples: Sequence[Example], folder: Path, *, max_length: int) -> EncodedExamples:
        """The examples as the network reads them, by the tokenizer in `folder`."""

    @abstractmethod
    def network_logits(self, batch: Batch) -> Tensor:
        """logits_BC in whatever precision."""

    @abstractmethod
    def save(self, folder: Path, labels: Sequence[str]) -> None:
        """Write the network; its tokenizer is copied beside it."""

    def logits(self, batch: Batch) -> Tensor:
        """logits_BC in fp32 (or fp64), whatever the precision they were computed in."""
        logits_BC = self.network_logits(batch)
        return logits_BC.float() if logits_BC.dtype in (torch.bfloat16, torch.float16) else logits_BC

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"examples": torch.tensor(len(batch["labels"]))}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = F.cross_entropy(self.logits(batch), batch["labels"], reduction="sum")
        return {"loss": total / counts["examples"]}

    def scores(self) -> ClassificationScores:
        return ClassificationScores()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        logits_BC, labels_B = self.logits(batch), batch["labels"]
        classes = logits_BC.shape[1]
        cells = labels_B * classes + logits_BC.argmax(1)
        confusion = torch.bincount(cells, minlength=classes**2).view(classes, classes)
        accumulator.add("confusion", confusion)
        accumulator.add("loss", F.cross_entropy(logits_BC, labels_B, reduction="sum"))


class SequenceClassification(Classification):
    """Single texts and pairs alike: a pair's parts differ by their token types."""

    def __init__(self, classifier: SequenceClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.max_length = classifier.encoder.config.max_length

    def encode(self, examples: Sequence[Example], folder: Path, *, max_length: int) -> EncodedExamples:
        return EncodedExamples.encode(
            examples, load_tokenizer(folder), max_length=max_length, pad_id=Vocabulary.load(folder).pad_id
        )

    def network_logits(self, batch: Batch) -> Tensor:
        logits_BC: Tensor = self.classifier(
            batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
        )
        return logits_BC

    def save(self, folder: Path, labels: Sequence[str]) -> None:
        save_pretrained(folder, self.classifier.encoder, head=self.classifier, labels=labels)


class EncoderClassifierConfig(Strict):
    """The backbone with a new head. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["encoder"]
    weights: Literal["pretrained", "random"]
    dropout: float = Field(0.1, ge=0, lt=1, description="of embeddings and layers while fine-tuning")
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    classifier_dropout: float = Field(0.1, ge=0, lt=1)

    network: ClassVar[str] = "encoder"

    def load(self, folder: Path) -> SequenceClassification:
        """The Learner that was saved there."""
        return SequenceClassification(load_sequence_classifier(folder))

    def build(self, backbone: Path, *, num_labels: int, seed: int) -> SequenceClassification:
        """The Learner before its first step; what is not loaded is a function of `seed`.

        A BERT that learned to predict the next sentence lends its pooler; any other head is new.
        """
        loaded = load_encoder(backbone, dropout=self.dropout, attention_dropout=self.attention_dropout)
        if self.weights == "random":
            return SequenceClassification(
                build_sequence_classifier(
                    loaded.config,
                    Vocabulary.load(backbone),
                    num_labels=num_labels,
                    dropout=self.classifier_dropout,
                    seed=derive_seed(seed, "encoder"),
                )
            )
        return SequenceClassification(
            classifier_on(
                loaded.encoder,
                num_labels=num_labels,
                dropout=self.classifier_dropout,
                seed=derive_seed(seed, "head"),
                pooler=load_pooler(backbone),
            )
        )
