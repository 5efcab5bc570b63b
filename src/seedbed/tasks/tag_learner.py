"""The Learner of tags: cross-entropy at every tagged position. Shapes: B rows, L positions, C tags."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.tasks.tagged_units import IGNORED
from seedbed.tasks.weighed_learner import WeighedLearner


class TokenClassification(WeighedLearner):
    """Cross-entropy over the tagged positions of the whole step."""

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        tagged_BL = batch["labels"] != IGNORED
        counts = {"tags": tagged_BL.sum()}
        if self.class_weights is not None:
            # in fp64, so that the sum is the same however the step is cut
            counts["weight"] = self.class_weights[batch["labels"][tagged_BL]].double().sum()
        return counts

    def outputs(self, batch: Batch) -> Tensor:
        """logits_BLC."""
        return self.logits(batch).double()

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = self._total(self.logits(batch), batch["labels"], self.class_weights)
        count = counts["tags" if self.class_weights is None else "weight"]
        return {"loss": total / count.to(total.dtype)}

    def scores(self) -> MeanAccumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        logits_BLC, labels_BL = self.logits(batch), batch["labels"]
        tagged_BL = labels_BL != IGNORED
        accumulator.add_mean("loss", self._total(logits_BLC, labels_BL), tagged_BL.sum())
        right_BL = (logits_BLC.argmax(2) == labels_BL) & tagged_BL
        accumulator.add_mean("tag_accuracy", right_BL.sum(), tagged_BL.sum())

    @staticmethod
    def _total(logits_BLC: Tensor, labels_BL: Tensor, weights_C: Tensor | None = None) -> Tensor:
        return F.cross_entropy(
            logits_BLC.flatten(0, 1), labels_BL.flatten(), weights_C, ignore_index=IGNORED, reduction="sum"
        )
