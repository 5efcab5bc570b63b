"""Multi-label classification: each label alone is there or not (binary cross-entropy). Shapes: B examples,
C labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.tasks.benchmark import Benchmark, field_of
from seedbed.tasks.class_weights import ClassWeights
from seedbed.tasks.encoded import EncodedExamples, EncodedRows
from seedbed.tasks.examples import Floats, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner
from seedbed.tasks.weighed_learner import WeighedLearner

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class MultiLabelExample(Labelled):
    """A text, or a pair of texts, with the numbers of all its labels; there may be none."""

    text: str
    pair: str | None
    labels: tuple[int, ...]


class MultiLabel(WeighedLearner):
    """The loss is the mean over examples of the mean over labels; weights are of a label's presence."""

    def outputs(self, batch: Batch) -> Tensor:
        """probabilities_BC, each label's own."""
        return self.logits(batch).double().sigmoid()

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self._total(self.logits(batch), batch, self.class_weights) / counts["examples"]}

    def scores(self) -> MeanAccumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        logits_BC, labels_BC = self.logits(batch), batch["labels"]
        accumulator.add_mean("loss", self._total(logits_BC, batch), len(labels_BC))
        right_B = ((logits_BC > 0) == (labels_BC > 0)).all(1)
        accumulator.add_mean("exact_match", right_B.sum(), len(labels_BC))

    @staticmethod
    def _total(logits_BC: Tensor, batch: Batch, weights_C: Tensor | None = None) -> Tensor:
        wanted_BC = batch["labels"].to(logits_BC.dtype)
        losses_BC = F.binary_cross_entropy_with_logits(
            logits_BC, wanted_BC, reduction="none", pos_weight=weights_C
        )
        return losses_BC.mean(1).sum()


class MultiLabelConfig(Benchmark[MultiLabelExample]):
    """Published sets of labels; the table says for each label whether its probability is above a half."""

    name: Literal["multi_label"]
    head: ClassVar[Head] = "sequence"
    hub_tag: ClassVar[str] = "text-classification"
    pair: str | None = Field(None, description="meta key of the second text")
    label: str = Field("labels", description="meta key of the labels")
    separator: str | None = Field(None, description="between the labels; null: the field is a JSON list")
    labels: tuple[str, ...] | None = Field(None, min_length=2, description="null: sorted as found in train")
    metric: Literal["micro_f1", "macro_f1", "exact_match"] = Field(
        "micro_f1", description="the official score"
    )
    class_weights: ClassWeights | None = Field(
        None, description="how much a label's presence counts in the loss against its absence; null: alike"
    )

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        found = {label for document in documents for label in self._labels(document)}
        if not self.labels and not found:
            raise UserError(
                f"no document of train has a label in {self.label!r}; correct the task's `label` or the "
                "corpus"
            )
        return TaskFacts(labels=self.labels or tuple(sorted(found)))

    def _labels(self, document: Document) -> list[str]:
        if self.separator is not None:
            return [label for label in field_of(document, self.label).split(self.separator) if label]
        try:
            value = json.loads(field_of(document, self.label))
        except ValueError:
            value = None
        if not isinstance(value, list):
            raise UserError(
                f"document {document.id}: {self.label} {document.meta[self.label][:40]!r} is no JSON list; "
                "set the task's `separator`"
            )
        return [str(label) for label in value]

    def example(self, document: Document, facts: TaskFacts) -> MultiLabelExample:
        """A label that train never showed cannot be predicted: it is the user's to name it in `labels`."""
        labels = self._labels(document)
        if unknown := sorted(set(labels) - set(facts.labels)):
            raise UserError(
                f"document {document.id}: label {unknown[0]!r} is none of the {len(facts.labels)} of train; "
                "name all of them in the task's `labels`"
            )
        pair = None if self.pair is None else field_of(document, self.pair)
        numbers = tuple(sorted({facts.labels.index(label) for label in labels}))
        return MultiLabelExample(document.id, document.text, pair, numbers)

    def encode(
        self,
        examples: Sequence[MultiLabelExample],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedExamples:
        wanted_NC = np.zeros((len(examples), len(facts.labels)), dtype=np.int64)
        for row, example in enumerate(examples):
            wanted_NC[row, list(example.labels)] = 1
        texts = [(example.text, example.pair) for example in examples]
        return EncodedExamples.of_texts(texts, wanted_NC, tokenizer, max_length=max_length, pad_id=pad_id)

    def num_outputs(self, facts: TaskFacts) -> int:
        return len(facts.labels)

    def learner(self, classifier: nn.Module) -> MultiLabel:
        return MultiLabel(classifier)

    def weigh(self, learner: TextLearner, examples: Sequence[MultiLabelExample], facts: TaskFacts) -> None:
        if self.class_weights is not None:
            assert isinstance(learner, MultiLabel)
            present_NC = np.zeros((len(examples), len(facts.labels)), dtype=np.bool_)
            for row, example in enumerate(examples):
                present_NC[row, list(example.labels)] = True
            learner.weigh(self.class_weights.of_presence(present_NC, facts.labels))

    def table(
        self,
        seed: int,
        examples: Sequence[MultiLabelExample],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label and predicted (lists of numbers of labels), probability_0 .. probability_<C-1>."""
        import polars

        share_NC = np.stack(outputs)
        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": [list(example.labels) for example in examples],
                "predicted": [np.flatnonzero(share_C > 0.5).tolist() for share_C in share_NC],
            }
            | {f"probability_{label}": column for label, column in enumerate(share_NC.T)},
            schema_overrides={
                "label": polars.List(polars.Int64),
                "predicted": polars.List(polars.Int64),
            },
        )

    def question(self, identity: str, parts: Sequence[str]) -> MultiLabelExample:
        return MultiLabelExample(identity, parts[0], parts[1] if self.asks == "pairs" else None, ())

    def answers(
        self,
        examples: Sequence[MultiLabelExample],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """labels, those more likely than not, and the probabilities by label."""
        del examples, encoded
        shares = [dict(zip(facts.labels, share_C.tolist(), strict=True)) for share_C in outputs]
        return [
            {"labels": [label for label, p in of.items() if p > 0.5], "probabilities": of} for of in shares
        ]

    def words(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[list[str], list[str]]:
        actual, predicted = (
            [", ".join(facts.labels[number] for number in row) or "none" for row in frame[c].to_list()]
            for c in ("label", "predicted")
        )
        return actual, predicted

    def misses(self, frame: "polars.DataFrame") -> Floats:
        """Labels that one side alone has."""
        pairs = zip(frame["label"].to_list(), frame["predicted"].to_list(), strict=True)
        return np.array([float(len(set(actual) ^ set(predicted))) for actual, predicted in pairs])

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        """F1 over all decisions and the mean of the labels' own, as scikit-learn's on an indicator matrix."""
        classes = len(facts.labels)
        actual_NC, predicted_NC = (
            np.stack([np.isin(np.arange(classes), row) for row in frame[column].to_list()])
            for column in ("label", "predicted")
        )
        hits_NC = (actual_NC & predicted_NC).astype(np.float64)
        given_NC = actual_NC.astype(np.float64) + predicted_NC
        exact_N = (actual_NC == predicted_NC).all(1).astype(np.float64)

        def f1(hits: Floats, given: Floats) -> Floats:
            return np.where(given > 0, 2 * hits / np.where(given > 0, given, 1.0), 0.0)

        return {
            "micro_f1": lambda w_BN: f1((w_BN @ hits_NC).sum(1), (w_BN @ given_NC).sum(1)),
            "macro_f1": lambda w_BN: f1(w_BN @ hits_NC, w_BN @ given_NC).mean(1),
            "exact_match": lambda w_BN: w_BN @ exact_N / w_BN.sum(1),
        }
