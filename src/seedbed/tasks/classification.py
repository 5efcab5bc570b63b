"""A label for each text or pair of texts: what such tasks share, and published labels as benchmarks."""

from abc import ABC
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import nn

from seedbed import metrics
from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.tasks.benchmark import Benchmark, field_of
from seedbed.tasks.class_weights import ClassWeights
from seedbed.tasks.encoded import EncodedExamples, EncodedRows
from seedbed.tasks.examples import Example, Floats, Head, Task, TaskFacts, WeightedScores
from seedbed.tasks.sequence_classification import SequenceClassification
from seedbed.tasks.text_learner import Outputs, TextLearner

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

UNSEEN = ", the labels of train; add examples of it to train, or take the document out of the corpus"


class ClassificationTask(Task[Example], ABC):
    """Cross-entropy over the labels; the table has a probability for each."""

    head: ClassVar[Head] = "sequence"
    hub_tag: ClassVar[str] = "text-classification"
    class_weights: ClassWeights | None = Field(
        None, description="how much a label's examples count in the loss; null: every example alike"
    )

    def encode(
        self,
        examples: Sequence[Example],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedExamples:
        return EncodedExamples.encode(examples, tokenizer, max_length=max_length, pad_id=pad_id)

    def num_outputs(self, facts: TaskFacts) -> int:
        return len(facts.labels)

    def learner(self, classifier: nn.Module) -> SequenceClassification:
        return SequenceClassification(classifier)

    def weigh(self, learner: TextLearner, examples: Sequence[Example], facts: TaskFacts) -> None:
        if self.class_weights is not None:
            assert isinstance(learner, SequenceClassification)
            labels_N = np.array([example.label for example in examples], dtype=np.int64)
            learner.weigh(self.class_weights.ratios(labels_N, facts.labels))

    def table(
        self,
        seed: int,
        examples: Sequence[Example],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label, predicted (numbers of labels), probability_0 .. probability_<C-1>."""
        del encoded, facts
        return label_table(seed, examples, np.stack(outputs))

    def question(self, identity: str, parts: Sequence[str]) -> Example:
        return Example(identity, parts[0], parts[1] if self.asks == "pairs" else None, 0)

    def answers(
        self,
        examples: Sequence[Example],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """label, probability, and the probabilities by label; of equals the first."""
        del examples, encoded
        return [label_answer(share_C, facts.labels) for share_C in outputs]

    def classes(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[str, ...]:
        del frame
        return facts.labels

    def check(self, examples: Sequence[Example], *, split: Split, facts: TaskFacts, where: str) -> None:
        """Every label must have an example to learn from, and each split something to score."""
        super().check(examples, split=split, facts=facts, where=where)
        if len(facts.labels) < 2:
            raise UserError(
                f"{where}: task {self.name}: train has one label alone, {facts.labels[0]!r}: nothing to "
                "tell apart; correct the task's `label` or the corpus"
            )
        missing = sorted(set(range(len(facts.labels))) - {example.label for example in examples})
        if split == "train" and missing:
            mend = (
                "leave it out of the task's `labels`, or add examples of it"
                if getattr(self, "num_train", None) is None
                else f"raise num_train (now {len(examples)} examples of {len(facts.labels)} labels) or use a "
                "larger corpus"
            )
            raise UserError(
                f"{where}: task {self.name}: no train example of label {facts.labels[missing[0]]!r}; {mend}"
            )


class MadeTask(ClassificationTask, ABC):
    """A task made from documents that nobody labelled for it."""

    num_train: int = Field(ge=2, description="labelled examples to learn from, shared out over the labels")
    num_valid: int = Field(ge=2, description="most examples of the valid split")
    num_test: int = Field(ge=2, description="most examples of the test split")

    def count(self, split: Split) -> int:
        return {"train": self.num_train, "valid": self.num_valid, "test": self.num_test}[split]


class ClassificationConfig(ClassificationTask, Benchmark[Example]):
    """Published labels of texts, or with `pair` of pairs of texts."""

    name: Literal["classification"]
    pair: str | None = Field(None, description="meta key of the second text")
    label: str = Field("label", description="meta key of the label")
    labels: tuple[str, ...] | None = Field(
        None, min_length=2, description="as published, in the order of their numbers; null: sorted as found"
    )
    metric: Literal["accuracy", "f1", "accuracy_f1", "macro_f1", "matthews"] = Field(
        "accuracy",
        description="the official score; f1 is that of the last of two labels, accuracy_f1 the mean of both",
    )

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """No label at all is no label of its own: an empty cell is a gap in the file."""
        if self.labels is not None:
            return TaskFacts(labels=self.labels)
        for document in documents:
            if not field_of(document, self.label).strip():
                raise UserError(
                    f"document {document.id}: {self.label} is empty; fill it in or take the document out of "
                    "the corpus (an empty label that is meant can be named in the task's `labels`)"
                )
        return TaskFacts(labels=tuple(sorted({field_of(d, self.label) for d in documents})))

    def example(self, document: Document, facts: TaskFacts) -> Example:
        value = field_of(document, self.label)
        if value not in facts.labels:
            known = ", ".join(map(repr, facts.labels[:20])) + (", ..." if len(facts.labels) > 20 else "")
            raise UserError(
                f"document {document.id}: label {value!r} is none of {known}"
                + ("; correct the task's `label` or `labels`" if self.labels else UNSEEN)
            )
        pair = None if self.pair is None else field_of(document, self.pair)
        return Example(document.id, document.text, pair, facts.labels.index(value))

    def check(self, examples: Sequence[Example], *, split: Split, facts: TaskFacts, where: str) -> None:
        super().check(examples, split=split, facts=facts, where=where)
        if self.metric in ("f1", "accuracy_f1") and len(facts.labels) != 2:
            raise UserError(
                f"{where}: task {self.name}: metric {self.metric} is of two labels, here are "
                f"{len(facts.labels)}; choose macro_f1"
            )

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        confusion = metrics.weighted_confusion(
            frame["label"].to_numpy(), frame["predicted"].to_numpy(), num_classes=len(facts.labels)
        )

        def score(weights_BN: Floats, name: str) -> Floats:
            return metrics.confusion_scores(confusion(weights_BN))[name]

        names = ("matthews", "f1", "accuracy_f1") if len(facts.labels) == 2 else ("matthews",)
        return {name: partial(score, name=name) for name in names}


def label_answer(share_C: Outputs, labels: Sequence[str]) -> dict[str, Any]:
    """The likeliest label (the first of equals), its probability, and those of all labels."""
    best = int(np.argmax(share_C))
    shares = dict(zip(labels, share_C.tolist(), strict=True))
    return {"label": labels[best], "probability": float(share_C[best]), "probabilities": shares}


def label_table(seed: int, examples: Sequence[Example], probabilities_NC: Outputs) -> "polars.DataFrame":
    """One seed's rows, in the order of the examples."""
    import polars

    return polars.DataFrame(
        {
            "seed": np.full(len(examples), seed, dtype=np.int64),
            "id": [example.id for example in examples],
            "label": np.array([example.label for example in examples], dtype=np.int64),
            "predicted": probabilities_NC.argmax(1).astype(np.int64),
        }
        | {f"probability_{label}": column for label, column in enumerate(probabilities_NC.T)}
    )
