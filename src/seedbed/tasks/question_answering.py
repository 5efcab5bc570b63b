"""Extractive question answering: where in a paragraph the answer starts and ends, or that it has none.

BERT (arXiv 1810.04805, sections 4.2 and 4.3). Shapes: B windows, L positions.
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
from seedbed.fidelity import Deviation
from seedbed.learner import Accumulator, Batch, MeanAccumulator
from seedbed.tasks.answer_texts import Script, compare
from seedbed.tasks.benchmark import Benchmark, field_of, json_of
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Asks, Floats, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner
from seedbed.tasks.windows import (
    EncodedWindows,
    Found,
    answer_positions,
    best_answers,
    cut_windows,
)

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

NO_ANSWER = "(no answer)"
MASKED = -1e9
"""The logit of padding: far below any other, and finite in fp32."""


@dataclass(frozen=True, slots=True)
class Question(Labelled):
    """A question on a paragraph with its answers, each a text and its first character; none: unanswerable."""

    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


class QuestionAnswering(TextLearner):
    """The mean of two cross-entropies over positions: of the answer's first token and of its last."""

    def logits(self, batch: Batch) -> Tensor:
        """logits_BL2; padding can be no end of an answer."""
        padding_BL1 = (batch["attention_mask"] == 0).unsqueeze(2)
        return super().logits(batch).masked_fill(padding_BL1, MASKED)

    def outputs(self, batch: Batch) -> Tensor:
        """logits_BL2."""
        return self.logits(batch).double()

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self._total(batch) / counts["examples"]}

    def scores(self) -> MeanAccumulator:
        return MeanAccumulator()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        assert isinstance(accumulator, MeanAccumulator)
        accumulator.add_mean("loss", self._total(batch), len(batch["labels"]))

    def _total(self, batch: Batch) -> Tensor:
        logits_BL2, ends_B2 = self.logits(batch), batch["labels"]
        return F.cross_entropy(logits_BL2, ends_B2, reduction="none").sum() / 2


class QuestionAnsweringConfig(Benchmark[Question]):
    """Questions as reader `squad` keeps them.

    Where a `no_answer_threshold` is given, the empty text is the answer if its score is above the best
    answer's by more than that; without one every question has an answer (SQuAD 1.1, KorQuAD 1.0).
    """

    name: Literal["question_answering"]
    head: ClassVar[Head] = "spans"
    hub_tag: ClassVar[str] = "question-answering"
    doc_stride: int = Field(128, ge=1, description="tokens from the start of one window to that of the next")
    max_question: int = Field(64, ge=1, description="tokens of a question; longer ones are cut")
    max_answer: int = Field(30, ge=1, description="tokens of an answer")
    num_best: int = Field(20, ge=1, description="answers kept of each question")
    no_answer_threshold: float | None = None
    script: Script = Field(
        "squad", description="whose normalisation and F1: words (SQuAD 1.1, 2.0), or KorQuAD's characters"
    )
    metric: Literal["exact_match", "f1"] = Field("f1", description="the official score")

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        return TaskFacts(labels=())

    def example(self, document: Document, facts: TaskFacts) -> Question:
        answers = tuple((str(text), int(start)) for text, start in json_of(document, "answers"))
        for text, start in answers:
            if document.text[start : start + len(text)] != text:
                raise UserError(
                    f"document {document.id}: answer {text[:40]!r} does not stand at {start}; preprocess it "
                    "without normalisation"
                )
        return Question(document.id, field_of(document, "question"), document.text, answers)

    def encode(
        self,
        examples: Sequence[Question],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedWindows:
        """Learned is each question's first answer."""
        if self.max_question + 8 > max_length:
            raise UserError(
                f"task.max_question {self.max_question} leaves no room for a paragraph in max_length "
                f"{max_length}; raise max_length or lower max_question"
            )
        rows, cut = [], []
        for number, one in enumerate(examples):
            windows, question_cut = cut_windows(
                tokenizer,
                one.question,
                one.context,
                number=number,
                max_length=max_length,
                doc_stride=self.doc_stride,
                max_question=self.max_question,
            )
            rows += windows
            cut += [number] * question_cut
        ends = []
        for _, window in rows:
            answers = examples[window.question].answers
            text, start = answers[0] if answers else ("", 0)
            ends.append(answer_positions(window, start, start + len(text)) if text else (0, 0))
        return EncodedWindows(
            ids=[np.array(encoding.ids, dtype=np.int64) for encoding, _ in rows],
            type_ids=[np.array(encoding.type_ids, dtype=np.int64) for encoding, _ in rows],
            pad_id=pad_id,
            cut=frozenset(cut),
            windows=[window for _, window in rows],
            ends=np.array(ends, dtype=np.int64).reshape(-1, 2),
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return 2

    def learner(self, classifier: nn.Module) -> QuestionAnswering:
        return QuestionAnswering(classifier)

    def table(
        self,
        seed: int,
        examples: Sequence[Question],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label (answers), predicted, n_best (JSON: text, score), no_answer (its lead), scores."""
        import polars

        assert isinstance(encoded, EncodedWindows)
        rows = []
        for one, (best, lead) in zip(examples, self._found(examples, encoded, outputs), strict=True):
            predicted = "" if self._refused(lead) else best[0][0]
            exact, f1 = compare(predicted, [text for text, _ in one.answers], script=self.script)
            n_best = json.dumps([(text, found.score) for text, found in best], ensure_ascii=False)
            rows.append((one.id, [text for text, _ in one.answers], predicted, n_best, lead, exact, f1))
        names = ("id", "label", "predicted", "n_best", "no_answer", "exact_match", "f1")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        return polars.DataFrame(
            {"seed": np.full(len(examples), seed, dtype=np.int64)} | columns,
            schema_overrides={"label": polars.List(polars.String)},
        )

    def _found(
        self, examples: Sequence[Question], encoded: EncodedWindows, outputs: Sequence[Outputs]
    ) -> list[tuple[list[tuple[str, Found]], float]]:
        """For each question its best answers, and by how much the empty one is ahead of them."""
        found: list[list[Found]] = [[] for _ in examples]
        empty = np.full(len(examples), np.inf)
        for window, logits_L2 in zip(encoded.windows, outputs, strict=True):
            found[window.question] += best_answers(
                window, logits_L2, num_best=self.num_best, max_answer=self.max_answer
            )
            # the window that is least sure that it holds nothing speaks, as in BERT's code
            empty[window.question] = min(empty[window.question], float(logits_L2[0].sum()))
        best = [self._best(one.context, of_one) for one, of_one in zip(examples, found, strict=True)]
        return [
            (of_one, of_empty - of_one[0][1].score)
            for of_one, of_empty in zip(best, empty.tolist(), strict=True)
        ]

    def _best(self, context: str, answers: Sequence[Found]) -> list[tuple[str, Found]]:
        """Texts with where they stand, best first, each text once; the empty one where nothing was found."""
        best: dict[str, Found] = {}
        for one in sorted(answers, key=lambda a: (-a.score, a.start, a.end)):
            best.setdefault(context[one.start : one.end].strip(), one)
        return list(best.items())[: self.num_best] or [("", Found(0.0, 0, 0))]

    def _refused(self, lead: float) -> bool:
        return self.no_answer_threshold is not None and lead > self.no_answer_threshold

    @property
    def asks(self) -> Asks:
        return "pairs"

    def question(self, identity: str, parts: Sequence[str]) -> Question:
        """Of a question and its paragraph."""
        return Question(identity, parts[0], parts[1], ())

    def cut_by(self, max_length: int) -> str:
        """A paragraph is read as a whole, in windows."""
        return f"task.max_question {self.max_question}"

    def answers(
        self,
        examples: Sequence[Question],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """answer, its characters in the paragraph, its share of the n best (softmax, as in BERT's code).

        The empty answer, refused or because no start and end fit together, stands nowhere: null.
        """
        del facts
        assert isinstance(encoded, EncodedWindows)
        made: list[dict[str, Any]] = []
        for one, (best, lead) in zip(examples, self._found(examples, encoded, outputs), strict=True):
            scores_K = np.array([found.score for _, found in best])
            if self.no_answer_threshold is not None:
                scores_K = np.append(scores_K, lead + scores_K[0])
            share_K = np.exp(scores_K - scores_K.max())
            share_K /= share_K.sum()
            refused = self._refused(lead)
            text, found = ("", best[0][1]) if refused else best[0]
            start = one.context.find(text, found.start) if text else None
            end = None if start is None else start + len(text)
            share = float(share_K[-1 if refused else 0])
            made.append({"answer": text, "start": start, "end": end, "probability": share})
        return made

    def words(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[list[str], list[str]]:
        actual = [" / ".join(dict.fromkeys(answers)) or NO_ANSWER for answers in frame["label"].to_list()]
        return actual, [answer or NO_ANSWER for answer in frame["predicted"].to_list()]

    def misses(self, frame: "polars.DataFrame") -> Floats:
        """What is missing of F1, where the match is not exact."""
        exact_N, f1_N = frame["exact_match"].to_numpy(), frame["f1"].to_numpy()
        return np.where(exact_N == 1, 0.0, np.maximum(1 - f1_N, np.finfo(np.float64).eps))

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        exact_N, f1_N = frame["exact_match"].to_numpy(), frame["f1"].to_numpy()
        return {
            "exact_match": lambda weights_BN: weights_BN @ exact_N / weights_BN.sum(1),
            "f1": lambda weights_BN: weights_BN @ f1_N / weights_BN.sum(1),
        }


DEVIATIONS = (
    Deviation(
        system="BERT",
        theirs="An answer's pieces are put together again and matched to the paragraph's words.",
        ours="An answer is the paragraph's characters that its pieces stand for.",
        why="The tokenizer knows the characters of each piece; guessing them fails for a part of a word, "
        "which is what a Korean answer without its particle is.",
        source="google-research/bert run_squad.py, get_final_text",
    ),
    Deviation(
        system="BERT",
        theirs="The n best starts and the n best ends of a whole row are paired; then pairs outside the "
        "paragraph, or with a start that has more context in another window, are dropped.",
        ours="The n best are those of the places that can be one: ends in the paragraph, starts in it that "
        "have most context in this window. Of equal answers' scores the first in the paragraph stands first.",
        why="So that no place in the question or in another window's part keeps an answer out; and so that a "
        "table has one order.",
        source="google-research/bert run_squad.py, write_predictions",
    ),
)
