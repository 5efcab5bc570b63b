"""Token classification: a tag for each word or character, whole entities scored.

BERT (arXiv 1810.04805, section 5.3): the first piece of a word bears its tag, other pieces bear none. Where a
piece covers several units (characters of Korean), it bears the tag of the first; the others continue it.
Shapes: B rows, L positions, C tags.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from torch import nn

from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.fidelity import Deviation
from seedbed.tasks.benchmark import Benchmark, field_of, json_of
from seedbed.tasks.class_weights import ClassWeights
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.entities import Rule, entities, entity_counts, f1, macro_f1
from seedbed.tasks.examples import Floats, Head, TaskFacts, WeightedScores
from seedbed.tasks.tag_learner import TokenClassification
from seedbed.tasks.tagged_units import (
    IGNORED,
    OUTSIDE,
    EncodedTags,
    TaggedExample,
    positions_of,
    softmax,
    tags_of_units,
    unit_counts,
)
from seedbed.tasks.text_learner import Outputs, TextLearner
from seedbed.tasks.windows import NOWHERE, TextWindow, cut_texts

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

INSIDE = "I-entity"
"""The tag of what is of an entity, where types are merged."""


class TokenClassificationConfig(Benchmark[TaggedExample]):
    """Published IOB2 tags, as reader `tagged` keeps them. Units of blanks are left out, as KLUE does.

    A text longer than `max_length` is read in windows that overlap.
    """

    name: Literal["token_classification"]
    head: ClassVar[Head] = "tokens"
    hub_tag: ClassVar[str] = "token-classification"
    rule: Rule = Field("conll", description="whether an I- that continues nothing begins an entity")
    doc_stride: int = Field(
        64, ge=1, description="tokens from the start of one window of a long text to that of the next"
    )
    unit: Literal["word", "character"] = Field(
        "word", description="what `predict` and `serve` tag in a text that nobody took apart"
    )
    types: Literal["apart", "merged"] = Field(
        "apart", description="merged: only whether a unit is of an entity, of whatever type, is asked"
    )
    metric: Literal["entity_f1", "entity_macro_f1", "unit_macro_f1", "unit_f1"] = Field(
        "entity_f1", description="the official score; unit_f1 is that of the one tag of merged types"
    )
    class_weights: ClassWeights | None = Field(
        None, description="how much a tag's units count in the loss; null: every unit alike"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.types == "merged" and self.rule == "strict":
            raise ValueError(
                "merged types have no B-, and rule strict begins an entity at none else; give conll"
            )
        if self.types == "apart" and self.metric == "unit_f1":
            raise ValueError(
                "metric unit_f1 is of merged types; choose unit_macro_f1, or set types to merged"
            )
        return self

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        """O first, then B- and I- of each type of train, alphabetically: an I- may be rare."""
        tags = {tag for document in documents for tag in field_of(document, "tags").split(" ")}
        kinds = sorted({tag[2:] for tag in tags} - {""})
        if self.types == "merged":
            return TaskFacts(labels=(OUTSIDE, INSIDE) if kinds else (OUTSIDE,))
        return TaskFacts(labels=(OUTSIDE, *(f"{mark}-{kind}" for kind in kinds for mark in "BI")))

    def example(self, document: Document, facts: TaskFacts) -> TaggedExample:
        tags, spans = field_of(document, "tags").split(" "), json_of(document, "spans")
        if len(tags) != len(spans) or spans[-1][1] > len(document.text):
            raise UserError(
                f"document {document.id}: {len(tags)} tags for {len(spans)} units of a text of "
                f"{len(document.text)} characters; preprocess it without normalisation"
            )
        if self.types == "merged":
            tags = [tag if tag == OUTSIDE else INSIDE for tag in tags]
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
        cut = cut_texts(
            tokenizer, [one.text for one in examples], max_length=max_length, doc_stride=self.doc_stride
        )
        rows: list[TextWindow] = []
        tags, units, texts = [], [], []
        for number, (example, (places, windows)) in enumerate(zip(examples, cut, strict=True)):
            unit_U = positions_of(example.spans, places)
            of_piece = np.full(len(places), IGNORED, dtype=np.int64)
            for piece, tag in zip(reversed(unit_U), reversed(example.tags), strict=True):
                if piece != NOWHERE:  # backwards, so that the first of several units stays
                    of_piece[piece] = numbers.get(tag, 0)
            units.append(unit_U)
            rows += windows
            texts += [number] * len(windows)
            tags += [
                np.append(of_piece, IGNORED)[window.pieces]  # NOWHERE is the last place
                for window in windows
            ]
        return EncodedTags(
            ids=[row.ids for row in rows],
            type_ids=[row.type_ids for row in rows],
            pad_id=pad_id,
            tags=tags,
            pieces=[row.pieces for row in rows],
            texts=texts,
            units=units,
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return len(facts.labels)

    def learner(self, classifier: nn.Module) -> TokenClassification:
        return TokenClassification(classifier)

    def weigh(self, learner: TextLearner, examples: Sequence[TaggedExample], facts: TaskFacts) -> None:
        if self.class_weights is not None:
            assert isinstance(learner, TokenClassification)
            numbers = {tag: number for number, tag in enumerate(facts.labels)}
            tags_N = np.array([numbers.get(tag, 0) for one in examples for tag in one.tags], dtype=np.int64)
            learner.weigh(self.class_weights.ratios(tags_N, facts.labels))

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

        encoded = encoded.of_task
        assert isinstance(encoded, EncodedTags)
        predicted = [
            tags_of_units(units_U, logits_PC.argmax(1), facts.labels)
            for units_U, logits_PC in zip(encoded.units, encoded.gathered(outputs), strict=True)
        ]
        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": [list(example.tags) for example in examples],
                "predicted": predicted,
            }
        )

    def question(self, identity: str, parts: Sequence[str]) -> TaggedExample:
        """Words and marks apart, or characters; blanks are no units."""
        pattern = r"\S" if self.unit == "character" else r"\w+|[^\w\s]"
        spans = tuple(found.span() for found in re.finditer(pattern, parts[0]))
        return TaggedExample(identity, parts[0], spans, (OUTSIDE,) * len(spans))

    def pooled(self, outputs_S: Sequence[Sequence[Outputs]]) -> list[Outputs]:
        """The mean of the probabilities."""
        return super().pooled([[softmax(logits_LC) for logits_LC in of_seed] for of_seed in outputs_S])

    def answers(
        self,
        examples: Sequence[TaggedExample],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """tags of the units, each with its characters and probability (1 where no piece stands for it);
        and the entities that they make."""
        assert encoded is not None
        encoded = encoded.of_task
        assert isinstance(encoded, EncodedTags)
        made = []
        for one, units_U, share_PC in zip(examples, encoded.units, encoded.gathered(outputs), strict=True):
            tags = tags_of_units(units_U, share_PC.argmax(1), facts.labels)
            sure = [1.0 if unit == NOWHERE else float(share_PC[unit].max()) for unit in units_U.tolist()]
            told = [
                {"text": one.text[start:end], "start": start, "end": end, "tag": tag, "probability": share}
                for (start, end), tag, share in zip(one.spans, tags, sure, strict=True)
            ]
            found = sorted(entities(tags, rule=self.rule), key=lambda entity: entity[1])
            ends = [(kind, one.spans[first][0], one.spans[last - 1][1]) for kind, first, last in found]
            made.append(
                {
                    "entities": [
                        {"type": kind, "text": one.text[start:end], "start": start, "end": end}
                        for kind, start, end in ends
                    ],
                    "tags": told,
                }
            )
        return made

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

        As KLUE's scorer has them: O is one of the tags, and a tag that neither side uses counts 1. Of merged
        types also the F1 of the units of entities; entities that touch are one there.
        """
        actual, predicted = frame["label"].to_list(), frame["predicted"].to_list()
        _, counts_NTK = entity_counts(actual, predicted, rule=self.rule)
        units_NTK = unit_counts(actual, predicted, tags=facts.labels)

        def add(weights_BN: Floats, counts_NTK: Floats) -> Floats:
            return np.tensordot(weights_BN, counts_NTK, axes=1)

        found: dict[str, Callable[[Floats], Floats]] = {
            "entity_f1": lambda w_BN: f1(add(w_BN, counts_NTK).sum(1)),
            "entity_macro_f1": lambda w_BN: macro_f1(add(w_BN, counts_NTK)),
            "unit_macro_f1": lambda w_BN: f1(add(w_BN, units_NTK), empty=1.0).mean(1),
        }
        if self.types == "merged":
            found["unit_f1"] = lambda w_BN: f1(add(w_BN, units_NTK)[:, facts.labels.index(INSIDE)])
        return found


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
