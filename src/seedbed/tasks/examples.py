"""Labelled examples, and the contract of a task that makes them from documents.

Which documents a split's examples come from, and in what order, is decided by hashes of their text alone:
not by file order, time or a generator's state.
"""

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from seedbed.config import Strict, UserError
from seedbed.corpora import Document, Split, read_split
from seedbed.workspace import hash_bytes

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer
    from torch import nn

    from seedbed.tasks.encoded import EncodedRows
    from seedbed.tasks.text_learner import Outputs, TextLearner

T = TypeVar("T")
Floats = npt.NDArray[np.float64]
WeightedScores = Mapping[str, Callable[[Floats], Floats]]
"""Scores by name, each a function from weights of the examples (B, N) to values (B,): resampling needs it."""
Asks = Literal["texts", "pairs", "choices"]
Head = Literal["sequence", "tokens", "spans", "text"]
"""What a network must give a task: numbers for a text, for each of its tokens, the ends of an answer, or a
text of its own."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One thing to be answered, by the id it keeps in every table."""

    id: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts that are read, in the order of the fields."""
        values = (getattr(self, field.name) for field in fields(self) if field.name != "id")
        return tuple(value for value in values if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Example(Labelled):
    """A text, or a pair of texts, with the number of its label."""

    text: str
    pair: str | None
    label: int


E = TypeVar("E", bound=Labelled)


class TaskFacts(Strict):
    """What a task read from the train split; kept in the artifact so that every later split is made alike."""

    labels: tuple[str, ...]
    masked: tuple[str, ...] = ()
    """Words that stand for a label and are hidden in every text."""


class Task(Strict, ABC, Generic[E]):
    """Documents in, answers out; one file each, named in the catalogue of `seedbed.tasks`.

    A task says how examples are made, how they become ids, what learns on top of a network, how its answers
    are written as rows, and how those are scored: after ELECTRA's finetune/task.py.
    """

    name: str
    head: ClassVar[Head]
    hub_tag: ClassVar[str]
    """What Hugging Face's model cards call such a task."""
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The least and the most that a score can be, where it is no share from 0 to 1."""
    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    """Its scores of which the smaller one wins."""
    lacking = {"class_weights": "the task has no classes to weigh; leave it out"}

    @abstractmethod
    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """The labels, and what else depends on data, from the documents of the train split."""

    @abstractmethod
    def examples(self, documents: Sequence[Document], *, split: Split, facts: TaskFacts) -> list[E]:
        """The examples of one split; their order depends on the documents alone."""

    @abstractmethod
    def encode(
        self,
        examples: Sequence[E],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> "EncodedRows":
        """Token ids and what is to be learned of each."""

    @abstractmethod
    def num_outputs(self, facts: TaskFacts) -> int:
        """Numbers that the head gives for a text, or for each token."""

    @abstractmethod
    def learner(self, classifier: "nn.Module") -> "TextLearner":
        """What trains the network that `head` and `num_outputs` ask for."""

    def weigh(self, learner: "TextLearner", examples: Sequence[E], facts: TaskFacts) -> None:
        """Tell the learner what weights its loss has, where they depend on the train examples."""
        del learner, examples, facts

    @abstractmethod
    def table(
        self,
        seed: int,
        examples: Sequence[E],
        encoded: "EncodedRows",
        outputs: "Sequence[Outputs]",
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """One seed's answers, a row for each example: columns seed, id, and the task's own.

        `outputs` are the learner's, one for each row of `encoded`.
        """

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        """The official scores of one seed's table, beyond what the learner's own accumulator says."""
        del frame, facts
        return {}

    @property
    def headline(self) -> str:
        """The official score, by which runs are compared: the field `metric` where a task has one."""
        return str(getattr(self, "metric", "accuracy"))

    def classes(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[str, ...]:
        """Names of the classes, where an answer is the number of one and has a probability for each."""
        del frame, facts
        return ()

    def words(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[list[str], list[str]]:
        """What was published and what was answered, for people, a text for each row."""
        del facts
        actual, predicted = ([str(value) for value in frame[c].to_list()] for c in ("label", "predicted"))
        return actual, predicted

    def misses(self, frame: "polars.DataFrame") -> Floats:
        """How far (N,) each answer is from what was published; 0 is no error."""
        pairs = zip(frame["label"].to_list(), frame["predicted"].to_list(), strict=True)
        return np.array([float(actual != predicted) for actual, predicted in pairs])

    @property
    def asks(self) -> Asks:
        """What one question is made of: a text, two, or a text with choices."""
        return "pairs" if getattr(self, "pair", None) is not None else "texts"

    def question(self, identity: str, parts: Sequence[str]) -> E:
        """An example that nobody answered yet, of the texts that `asks` names."""
        raise UserError(
            f"task {self.name} answers no single texts (`dvc repro evaluate` scores it); name a run of "
            "another task"
        )

    def cut_by(self, max_length: int) -> str:
        """The setting that a text is too long for, where its end is not read."""
        return f"max_length {max_length}"

    def together(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """The seeds that answer a question together, of those that were trained."""
        return tuple(seeds)

    def pooled(self, outputs_S: "Sequence[Sequence[Outputs]]") -> "list[Outputs]":
        """The outputs of each row, of several seeds as of one: their mean (Lakshminarayanan et al. 2017)."""
        return [np.asarray(np.mean(of_row, axis=0)) for of_row in zip(*outputs_S, strict=True)]

    @abstractmethod
    def answers(
        self,
        examples: Sequence[E],
        encoded: "EncodedRows | None",
        outputs: "Sequence[Outputs]",
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """What is told of each question, as JSON; `encoded` is None of what reads no token ids."""

    def scores(self, frame: "polars.DataFrame", facts: TaskFacts) -> dict[str, float]:
        """`statistics` of every example once, by bare name."""
        once_1N = np.ones((1, frame.height))
        return {name: float(score(once_1N)[0]) for name, score in self.statistics(frame, facts).items()}

    def check(self, examples: Sequence[E], *, split: Split, facts: TaskFacts, where: str) -> None:
        """Each split must have something to score, and each answer that is kept an id of its own."""
        del facts
        if not examples:
            raise UserError(
                f"{where}: the {split} split gives task {self.name} no example; use a larger corpus, "
                f"or change the task's fields"
            )
        twice, count = Counter(example.id for example in examples).most_common(1)[0]
        if split != "train" and count > 1:
            raise UserError(
                f"{where}: id {twice!r} names {count} examples of the {split} split, and answers are kept by "
                "id; make ids unique, or leave the reader's `id` out (file and line then)"
            )

    def title(self, corpus: str) -> str:
        """What the report calls it; runs of one title are compared."""
        del corpus
        return self.name


def content_hash(*parts: str) -> str:
    """The number that decides about a text; the parts' borders count."""
    return hash_bytes("\x00".join(parts).encode("utf-8", "surrogatepass"))


def smallest(items: Iterable[T], count: int, *, key: Callable[[T], str]) -> list[T]:
    """The `count` items of smallest key, in order.

    A larger corpus only ever displaces items by new ones of smaller hash: whatever is chosen from it was
    chosen before or is new.
    """
    return heapq.nsmallest(count, items, key=key)


def shares(count: int, num_labels: int) -> list[int]:
    """`count` shared out over the labels as evenly as can be, the first ones taking what is over."""
    return [count // num_labels + (label < count % num_labels) for label in range(num_labels)]


def balanced(
    groups: Sequence[Sequence[Example]], count: int, *, key: Callable[[Example], str]
) -> list[Example]:
    """`count` examples, as many of each label (group) as there are to have; mixed, in the order of `key`."""
    chosen = [
        example
        for group, share in zip(groups, shares(count, len(groups)), strict=True)
        for example in smallest(group, share, key=key)
    ]
    return sorted(chosen, key=key)


def training_examples(task: Task[E], corpus: Path) -> tuple[TaskFacts, list[E], list[E]]:
    """What the task learned, and its train and valid examples; the test split stays shut."""
    documents = list(read_split(corpus, "train"))
    facts = task.learn(documents)
    made: list[list[E]] = []
    splits: tuple[Split, ...] = ("train", "valid")
    for split in splits:
        documents = documents if split == "train" else list(read_split(corpus, split))
        examples = task.examples(documents, split=split, facts=facts)
        task.check(examples, split=split, facts=facts, where=str(corpus))
        made.append(examples)
    return facts, made[0], made[1]
