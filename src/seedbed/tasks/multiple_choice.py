"""Multiple choice: each choice is read with the text as a pair, one number for each, cross-entropy over them.

BERT on SWAG (arXiv 1810.04805, section 4.4). Shapes: B examples, K choices, L positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.tasks.benchmark import Benchmark, field_of, json_of
from seedbed.tasks.encoded import EncodedExamples, EncodedRows, Labels
from seedbed.tasks.examples import Asks, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Choice(Labelled):
    """A text, what may follow it, and the number of what does."""

    text: str
    choices: tuple[str, ...]
    label: int

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.text, *self.choices)


@dataclass(frozen=True, kw_only=True)
class EncodedChoices(EncodedRows):
    """Rows of `pairs`, K for each example: a batch of B examples has input_ids (B K, L) and labels (B,).

    An example is as long as all its choices together, so that batches of scoring stay within their size.
    """

    pairs: EncodedExamples
    num_choices: int
    labels: npt.NDArray[np.int64]

    def collate(self, chosen: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        rows = (np.asarray(chosen)[:, None] * self.num_choices + np.arange(self.num_choices)).ravel()
        return self.pairs.collate(rows) | {"labels": torch.from_numpy(self.labels[chosen])}

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        del length
        return self.labels[chosen]


class MultipleChoice(TextLearner):
    def choices(self, batch: Batch) -> Tensor:
        """logits_BK."""
        return self.logits(batch).view(len(batch["labels"]), -1)

    def outputs(self, batch: Batch) -> Tensor:
        """probabilities_BK."""
        return self.choices(batch).double().softmax(1)

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = F.cross_entropy(self.choices(batch), batch["labels"], reduction="sum")
        return {"loss": total / counts["examples"]}

    def scores(self) -> MeanAccumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        logits_BK, labels_B = self.choices(batch), batch["labels"]
        accumulator.add_mean("loss", F.cross_entropy(logits_BK, labels_B, reduction="sum"), len(labels_B))
        accumulator.add_mean("accuracy", (logits_BK.argmax(1) == labels_B).sum(), len(labels_B))


class MultipleChoiceConfig(Benchmark[Choice]):
    """As many choices for every text, in the fields `choices` or in one that holds a JSON list of them."""

    name: Literal["multiple_choice"]
    head: ClassVar[Head] = "sequence"
    hub_tag: ClassVar[str] = "multiple-choice"
    choices: tuple[str, ...] = Field(min_length=1, description="meta keys of the choices; one: a JSON list")
    label: str = Field("label", description="meta key of the right choice's number")
    first: int = Field(0, description="number of the first choice")
    metric: Literal["accuracy"] = "accuracy"

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        return TaskFacts(labels=())

    def example(self, document: Document, facts: TaskFacts) -> Choice:
        if len(self.choices) == 1:
            choices = tuple(str(choice) for choice in json_of(document, self.choices[0]))
        else:
            choices = tuple(field_of(document, key) for key in self.choices)
        value = field_of(document, self.label)
        numbers = [str(number + self.first) for number in range(len(choices))]
        if value not in numbers:
            raise UserError(
                f"document {document.id}: {self.label} {value!r} is none of {', '.join(numbers)}; "
                "correct the task's `label` or `first`"
            )
        return Choice(document.id, document.text, choices, numbers.index(value))

    def encode(
        self,
        examples: Sequence[Choice],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedChoices:
        counts = {len(example.choices) for example in examples}
        if len(counts) != 1 or min(counts) < 2:
            raise UserError(
                f"task {self.name}: texts with {', '.join(map(str, sorted(counts)))} choices; as many for "
                "each, and at least two, are needed"
            )
        labels_N = np.array([example.label for example in examples], dtype=np.int64)
        [num_choices] = counts
        pairs = EncodedExamples.of_texts(
            [(example.text, choice) for example in examples for choice in example.choices],
            np.repeat(labels_N, num_choices),
            tokenizer,
            max_length=max_length,
            pad_id=pad_id,
        )
        groups = range(0, len(pairs), num_choices)
        return EncodedChoices(
            ids=[np.concatenate(pairs.ids[first : first + num_choices]) for first in groups],
            type_ids=[np.concatenate(pairs.type_ids[first : first + num_choices]) for first in groups],
            pad_id=pad_id,
            cut=frozenset(number // num_choices for number in pairs.cut),
            pairs=pairs,
            num_choices=num_choices,
            labels=labels_N,
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return 1

    def learner(self, classifier: nn.Module) -> MultipleChoice:
        return MultipleChoice(classifier)

    def table(
        self,
        seed: int,
        examples: Sequence[Choice],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label and predicted (numbers of choices), probability_0 .. probability_<K-1>."""
        import polars

        share_NK = np.stack(outputs)
        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": np.array([example.label for example in examples], dtype=np.int64),
                "predicted": share_NK.argmax(1).astype(np.int64),
            }
            | {f"probability_{choice}": column for choice, column in enumerate(share_NK.T)}
        )

    @property
    def asks(self) -> Asks:
        return "choices"

    def question(self, identity: str, parts: Sequence[str]) -> Choice:
        return Choice(identity, parts[0], tuple(parts[1:]), 0)

    def answers(
        self,
        examples: Sequence[Choice],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """label, the number of a choice as it is published, and the probability of each choice in order."""
        del encoded, facts
        made = []
        for one, share_K in zip(examples, outputs, strict=True):
            best = int(np.argmax(share_K))
            made.append(
                {"label": best + self.first, "choice": one.choices[best], "probability": float(share_K[best])}
                | {"probabilities": share_K.tolist()}
            )
        return made

    def classes(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[str, ...]:
        """A choice has no name but its number, as it is published."""
        del facts
        count = sum(column.startswith("probability_") for column in frame.columns)
        return tuple(f"choice {number + self.first}" for number in range(count))

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        right_N = (frame["label"] == frame["predicted"]).to_numpy().astype(np.float64)
        return {"accuracy": lambda weights_BN: weights_BN @ right_N / weights_BN.sum(1)}
