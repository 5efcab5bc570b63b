"""Sequence classification: an encoder, a head on its first position, and cross-entropy.

BERT (arXiv 1810.04805), section 4.1; heads as each family was published (see models/heads.py).
Shapes: B examples, C classes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seedbed import metrics
from seedbed.learner import Accumulator, Batch
from seedbed.tasks.weighed_learner import WeighedLearner


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


class SequenceClassification(WeighedLearner):
    """Single texts and pairs alike: a pair's parts differ by their token types."""

    def outputs(self, batch: Batch) -> Tensor:
        """probabilities_BC."""
        return self.logits(batch).double().softmax(1)

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        counts = {"examples": torch.tensor(len(batch["labels"]))}
        if self.class_weights is not None:
            # in fp64, so that the sum is the same however the step is cut
            counts["weight"] = self.class_weights[batch["labels"]].double().sum()
        return counts

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logits_BC, labels_B, weights_C = self.logits(batch), batch["labels"], self.class_weights
        if weights_C is None:
            total = F.cross_entropy(logits_BC, labels_B, reduction="sum")
            return {"loss": total / counts["examples"]}
        total = F.cross_entropy(logits_BC, labels_B, weights_C, reduction="sum")
        return {"loss": total / counts["weight"].to(total.dtype)}

    def scores(self) -> ClassificationScores:
        return ClassificationScores()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        logits_BC, labels_B = self.logits(batch), batch["labels"]
        classes = logits_BC.shape[1]
        cells = labels_B * classes + logits_BC.argmax(1)
        confusion = torch.bincount(cells, minlength=classes**2).view(classes, classes)
        accumulator.add("confusion", confusion)
        accumulator.add("loss", F.cross_entropy(logits_BC, labels_B, reduction="sum"))
