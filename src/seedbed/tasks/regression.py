"""Regression: a number for each text or pair, learned by squared error on the published scale.

BERT on STS-B (arXiv 1810.04805, section 4.1): one output, its published score as it is. Shapes: B examples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.corpora import Document, Split
from seedbed.fidelity import Deviation
from seedbed.learner import Accumulator, Batch
from seedbed.tasks.benchmark import Benchmark, field_of, number_of
from seedbed.tasks.correlations import pearson, spearman
from seedbed.tasks.encoded import EncodedExamples, EncodedRows
from seedbed.tasks.entities import f1
from seedbed.tasks.examples import Floats, Head, Labelled, TaskFacts, WeightedScores
from seedbed.tasks.text_learner import Outputs, TextLearner

if TYPE_CHECKING:
    import polars
    from tokenizers import Tokenizer

FAR = 0.1
"""The share of answers that is listed as errors."""


@dataclass(frozen=True, slots=True)
class ScoredExample(Labelled):
    """A text, or a pair of texts, with its score."""

    text: str
    pair: str | None
    score: float


class RegressionScores(Accumulator):
    """Mean squared error and Pearson's correlation from sums; 0 where nothing varies."""

    def results(self) -> dict[str, float]:
        total = {name: float(value) for name, value in self.sums.items()}
        n = total["n"]
        spread = {name: total[f"{name}{name}"] - total[name] ** 2 / n for name in ("x", "y")}
        together = total["xy"] - total["x"] * total["y"] / n
        # what is left of equal numbers are the last bits of their sums
        varies = all(spread[name] > 1e-12 * total[f"{name}{name}"] for name in spread)
        correlation = together / (spread["x"] * spread["y"]) ** 0.5 if varies else 0.0
        return {"loss": total["squares"] / n, "pearson": correlation}


class Regression(TextLearner):
    def outputs(self, batch: Batch) -> Tensor:
        """predicted_B."""
        return self.logits(batch).squeeze(1).double()

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        predicted_B = self.logits(batch).squeeze(1)
        # bf16 knows 3.797 and 3.812, and no 3.8
        dtype = torch.promote_types(predicted_B.dtype, torch.float32)
        total = F.mse_loss(predicted_B.to(dtype), batch["labels"].to(dtype), reduction="sum")
        return {"loss": total / counts["examples"]}

    def scores(self) -> RegressionScores:
        return RegressionScores()

    def score(self, batch: Batch, accumulator: Accumulator) -> None:
        x_B, y_B = batch["labels"].double(), self.outputs(batch)
        sums = {"x": x_B, "y": y_B, "xx": x_B * x_B, "yy": y_B * y_B, "xy": x_B * y_B}
        for name, value in sums.items():
            accumulator.add(name, value.sum())
        accumulator.add("squares", ((x_B - y_B) ** 2).sum())
        accumulator.add("n", len(x_B))


class RegressionConfig(Benchmark[ScoredExample]):
    """Published numbers of texts, or with `pair` of pairs of texts."""

    name: Literal["regression"]
    head: ClassVar[Head] = "sequence"
    hub_tag: ClassVar[str] = "text-classification"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = dict.fromkeys(
        ("pearson", "spearman", "pearson_spearman"), (-1.0, 1.0)
    )
    pair: str | None = Field(None, description="meta key of the second text")
    label: str = Field("score", description="meta key of the number")
    threshold: float | None = Field(
        None,
        description="numbers from here on mean yes, on both sides; their F1 is told beside",
    )
    metric: Literal["pearson", "spearman", "pearson_spearman"] = Field(
        "pearson", description="the official score; pearson_spearman is the mean of both, as in GLUE"
    )

    def learn(self, documents: Sequence[Document]) -> TaskFacts:
        return TaskFacts(labels=())

    def example(self, document: Document, facts: TaskFacts) -> ScoredExample:
        pair = None if self.pair is None else field_of(document, self.pair)
        return ScoredExample(document.id, document.text, pair, number_of(document, self.label))

    def check(self, examples: Sequence[ScoredExample], *, split: Split, facts: TaskFacts, where: str) -> None:
        """Nothing correlates with a number that is always the same."""
        super().check(examples, split=split, facts=facts, where=where)
        if len({example.score for example in examples}) == 1:
            raise UserError(
                f"{where}: task {self.name}: {self.label} is {examples[0].score:g} in all of the {split} "
                "split; correct the task's `label` or the corpus"
            )

    def encode(
        self,
        examples: Sequence[ScoredExample],
        tokenizer: "Tokenizer",
        *,
        facts: TaskFacts,
        max_length: int,
        pad_id: int,
    ) -> EncodedExamples:
        return EncodedExamples.of_texts(
            [(example.text, example.pair) for example in examples],
            np.array([example.score for example in examples], dtype=np.float64),
            tokenizer,
            max_length=max_length,
            pad_id=pad_id,
        )

    def num_outputs(self, facts: TaskFacts) -> int:
        return 1

    def learner(self, classifier: nn.Module) -> Regression:
        return Regression(classifier)

    def table(
        self,
        seed: int,
        examples: Sequence[ScoredExample],
        encoded: EncodedRows,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> "polars.DataFrame":
        """Columns label and predicted, on the published scale."""
        import polars

        return polars.DataFrame(
            {
                "seed": np.full(len(examples), seed, dtype=np.int64),
                "id": [example.id for example in examples],
                "label": np.array([example.score for example in examples], dtype=np.float64),
                "predicted": np.array(outputs, dtype=np.float64),
            }
        )

    def question(self, identity: str, parts: Sequence[str]) -> ScoredExample:
        return ScoredExample(identity, parts[0], parts[1] if self.asks == "pairs" else None, 0.0)

    def answers(
        self,
        examples: Sequence[ScoredExample],
        encoded: EncodedRows | None,
        outputs: Sequence[Outputs],
        facts: TaskFacts,
    ) -> list[dict[str, Any]]:
        """score, on the published scale."""
        del examples, encoded, facts
        return [{"score": float(predicted)} for predicted in outputs]

    def words(self, frame: "polars.DataFrame", facts: TaskFacts) -> tuple[list[str], list[str]]:
        actual, predicted = ([f"{value:.3g}" for value in frame[c].to_list()] for c in ("label", "predicted"))
        return actual, predicted

    def misses(self, frame: "polars.DataFrame") -> Floats:
        """No number is hit: the tenth of the answers that is furthest off counts as errors."""
        distance_N = (frame["label"] - frame["predicted"]).abs().to_numpy()
        return np.where(distance_N > np.quantile(distance_N, 1 - FAR), distance_N, 0.0)

    def statistics(self, frame: "polars.DataFrame", facts: TaskFacts) -> WeightedScores:
        actual_N, predicted_N = frame["label"].to_numpy(), frame["predicted"].to_numpy()
        found: dict[str, Callable[[Floats], Floats]] = {
            "pearson": partial(pearson, actual_N, predicted_N),
            "spearman": partial(spearman, actual_N, predicted_N),
        }
        if self.metric == "pearson_spearman":
            found[self.metric] = lambda weights_BN: np.asarray(
                (found["pearson"](weights_BN) + found["spearman"](weights_BN)) / 2
            )
        if self.threshold is not None:
            yes_N2 = np.stack([actual_N >= self.threshold, predicted_N >= self.threshold], axis=1)
            counts_N3 = np.column_stack([yes_N2.all(1), yes_N2]).astype(np.float64)
            found["f1"] = lambda weights_BN: f1(weights_BN @ counts_N3)
        return found


DEVIATIONS = (
    Deviation(
        system="ELECTRA",
        theirs="Scores of STS-B are learned on a scale from 0 to 1.",
        ours="They are learned as published, 0 to 5, as BERT's users do.",
        why="Correlations know no scale; with AdamW the loss's scale changes little.",
        source="google-research/electra finetune/classification/classification_tasks.py",
    ),
)
