"""Token classification: a tag for each word or character, whole entities scored.

BERT (arXiv 1810.04805, section 5.3): the first piece of a word bears its tag, other pieces bear none. Where a
piece covers several units (characters of Korean), it bears the tag of the first; the others continue it.
Shapes: B rows, L positions, C tags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.fidelity import Deviation
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.tasks.benchmark import Benchmark, field_of, json_of
from seedbed.tasks.encoded import EncodedRows, Labels
from seedbed.tasks.entities import Rule, entities, entity_counts, f1, macro_f1
from seedbed.tasks.examples import Floats, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

IGNORED, NOWHERE, OUTSIDE = -100, -1, "O"


@dataclass(frozen=True, slots=True)
class TaggedExample(Labelled):
    """A text with its units (words or characters) by their places in it, and a tag for each."""

    text: str
    spans: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EncodedTags(EncodedRows):
    """Tags of positions, IGNORED where a position bears none; each unit's position, NOWHERE if cut off."""

    tags: list[npt.NDArray[np.int64]]
    units: list[npt.NDArray[np.int64]]

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        labels_BL = np.full((len(chosen), length), IGNORED, dtype=np.int64)
        for row, number in enumerate(chosen):
            labels_BL[row, : len(self.tags[number])] = self.tags[number]
        return labels_BL


class TokenClassification(TextLearner):
    """Cross-entropy over the tagged positions of the whole step."""

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        return {"tags": (batch["labels"] != IGNORED).sum()}

    def outputs(self, batch: Batch) -> Tensor:
        """logits_BLC."""
        return self.logits(batch).double()

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self._total(self.logits(batch), batch["labels"]) / counts["tags"]}

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
    def _total(logits_BLC: Tensor, labels_BL: Tensor) -> Tensor:
        return F.cross_entropy(
            logits_BLC.flatten(0, 1), labels_BL.flatten(), ignore_index=IGNORED, reduction="sum"
        )


class TokenClassificationConfig(Benchmark[TaggedExample]):
    """Published IOB2 tags, as reader `tagged` keeps them. Units of blanks are left out, as KLUE does.

    Units beyond `max_length` are answered with O.
    """

    name: Literal["token_classification"]
    head: ClassVar[Head] = "tokens"
    hub_tag: ClassVar[str] = "token-classification"
    rule: Rule = Field("conll", description="whether an I- that continues nothing begins an entity")
    metric: Literal["entity_f1", "entity_macro_f1", "unit_macro_f1"] = Field(
        "entity_f1", description="the official score"
    )

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """O first, then B- and I- of each type of train, alphabetically: an I- may be rare."""
        tags = {tag for document in documents for tag in field_of(document, "tags").split(" ")}
        kinds = sorted({tag[2:] for tag in tags} - {""})
        return TaskFacts(labels=(OUTSIDE, *(f"{mark}-{kind}" for kind in kinds for mark in "BI")))

    def example(self, document: Document, facts: TaskFacts) -> TaggedExample:
        tags, spans = field_of(document, "tags").split(" "), json_of(document, "spans")
        if len(tags) != len(spans) or spans[-1][1] > len(document.text):
            raise UserError(
                f"document {document.id}: {len(tags)} tags for {len(spans)} units of a text of "
                f"{len(document.text)} characters; preprocess it without normalisation"
            )
        kept = [
            ((start, end), tag)
            for (start, end), tag in zip(spans, tags, strict=True)
            if not document.text[start:end].isspace()
        ]
        return TaggedExample(
            document.id, document.text, tuple(span for span, _ in kept), tuple(tag for _, tag in kept)
        )

    def check(self, examples: Sequence[TaggedExample], *, split: Split, facts: TaskFacts, where: str) -> None:
        super().check(examples, split=split, facts=facts, where=where)
        if len(facts.labels) == 1:
            raise UserError(f"{where}: task {self.name}: no entity in train; check the reader's tag_column")

    def encode(
        self,
        examples: Sequence[TaggedExample],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedTags:
        """A type that train never showed is learned as O: the score counts it as missed."""
        numbers = {tag: number for number, tag in enumerate(facts.labels)}
        tokenizer.enable_truncation(max_length)
        try:
            encodings = tokenizer.encode_batch([example.text for example in examples])
        finally:
            tokenizer.no_truncation()
        tags, units = [], []
        for example, encoding in zip(examples, encodings, strict=True):
            special = encoding.special_tokens_mask
            places = [None if mark else o for mark, o in zip(special, encoding.offsets, strict=True)]
            unit_U = positions_of(example.spans, places)
            tag_L = np.full(len(encoding.ids), IGNORED, dtype=np.int64)
            for position, tag in zip(reversed(unit_U), reversed(example.tags), strict=True):
                if position != NOWHERE:  # backwards, so that the first of several units stays
                    tag_L[position] = numbers.get(tag, 0)
            tags.append(tag_L)
            units.append(unit_U)
        return EncodedTags(
            ids=[np.array(encoding.ids, dtype=np.int64) for encoding in encodings],
            type_ids=[np.array(encoding.type_ids, dtype=np.int64) for encoding in encodings],
            pad_id=pad_id,
            tags=tags,
            units=units,
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return len(facts.labels)

    def learner(self, classifier: nn.Module) -> TokenClassification:
        return TokenClassification(classifier)

    def table(
        self,
        seed: int,
        examples: Sequence[TaggedExample],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label and predicted: a list of tags, one for each unit."""
        import polars

        assert isinstance(encoded, EncodedTags)
        predicted = [
            tags_of_units(units_U, logits_LC.argmax(1), facts.labels)
            for units_U, logits_LC in zip(encoded.units, outputs, strict=True)
        ]
        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": [list(example.tags) for example in examples],
                "predicted": predicted,
            }
        )

    def words(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[list[str], list[str]]:
        """The entities by their type and units, counted from 1."""
        sides = [
            [
                ", ".join(
                    f"{kind} {first + 1}" + (f" to {last}" if last > first + 1 else "")
                    for kind, first, last in sorted(entities(tags, rule=self.rule), key=lambda e: e[1])
                )
                or "no entity"
                for tags in frame[column].to_list()
            ]
            for column in ("label", "predicted")
        ]
        return sides[0], sides[1]

    def misses(self, frame: "polars.DataFrame") -> Floats:
        """Entities that one side alone has."""
        pairs = zip(frame["label"].to_list(), frame["predicted"].to_list(), strict=True)
        return np.array(
            [float(len(entities(a, rule=self.rule) ^ entities(p, rule=self.rule))) for a, p in pairs]
        )

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        """F1 over all entities and the mean of the types' own; and the mean F1 of the tags by unit.

        As KLUE's scorer has them: O is one of the tags, and a tag that neither side uses counts 1.
        """
        actual, predicted = frame["label"].to_list(), frame["predicted"].to_list()
        _, counts_NTK = entity_counts(actual, predicted, rule=self.rule)
        units_NTK = unit_counts(actual, predicted, tags=facts.labels)

        def add(weights_BN: Floats, counts_NTK: Floats) -> Floats:
            return np.tensordot(weights_BN, counts_NTK, axes=1)

        return {
            "entity_f1": lambda w_BN: f1(add(w_BN, counts_NTK).sum(1)),
            "entity_macro_f1": lambda w_BN: macro_f1(add(w_BN, counts_NTK)),
            "unit_macro_f1": lambda w_BN: f1(add(w_BN, units_NTK), empty=1.0).mean(1),
        }


def positions_of(
    spans: Sequence[tuple[int, int]], places: Sequence[tuple[int, int] | None]
) -> npt.NDArray[np.int64]:
    """For each unit the first position that shares its characters; `places` is None for special ones."""
    found = np.full(len(spans), NOWHERE, dtype=np.int64)
    position = 0
    for unit, (start, end) in enumerate(spans):
        while position < len(places) and ((place := places[position]) is None or place[1] <= start):
            position += 1
        if position == len(places):
            break
        place = places[position]
        assert place is not None
        if place[0] < end:
            found[unit] = position
    return found


def tags_of_units(
    units_U: npt.NDArray[np.int64], predicted_L: npt.NDArray[np.int64], labels: Sequence[str]
) -> list[str]:
    """The tag of each unit's position; a further unit of the same position continues the entity."""
    tags, before = [], NOWHERE
    for position in units_U.tolist():
        tag = OUTSIDE if position == NOWHERE else labels[int(predicted_L[position])]
        tags.append(f"I-{tag[2:]}" if position == before != NOWHERE and tag != OUTSIDE else tag)
        before = position
    return tags


def unit_counts(
    actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, tags: Sequence[str]
) -> Floats:
    """Counts (N, tags, 3) of units: right, actual, predicted."""
    counts_NTK = np.zeros((len(actual), len(tags), 3))
    places = {tag: place for place, tag in enumerate(tags)}
    for row, (of_actual, of_predicted) in enumerate(zip(actual, predicted, strict=True)):
        for a, p in zip(of_actual, of_predicted, strict=True):
            for column, tag, counted in ((0, a, a == p), (1, a, True), (2, p, True)):
                if counted and tag in places:
                    counts_NTK[row, places[tag], column] += 1
    return counts_NTK


DEVIATIONS = (
    Deviation(
        system="KLUE",
        theirs="The baseline takes a sentence apart at its blanks, then each word into pieces; a word with "
        "an unknown piece is one unknown token.",
        ours="The tokenizer reads the sentence; a unit's piece is found by the characters it stands for, "
        "also that of an unknown piece.",
        why="The same for words and characters, and for every tokenizer.",
        source="KLUE-benchmark/KLUE-baseline klue_baseline/data/klue_ner.py",
    ),
    Deviation(
        system="KLUE",
        theirs="All sentences are scored as one sequence, so an entity may go on over the end of one.",
        ours="Each sentence's entities are its own. Character F1 is as in their code: O is one of the tags, "
        "though its docstring leaves it out.",
        why="No entity spans two sentences; in the published tags none does.",
        source="KLUE-benchmark/KLUE-baseline klue_baseline/metrics/functional.py",
    ),
)
