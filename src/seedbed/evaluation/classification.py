"""Test predictions of text runs, scored: accuracy, macro precision, recall, F1, Matthews, per class.

Consumes frames with the columns seed, id, label, predicted (class numbers), one row per seed and example.
Shape legend: N examples, S seeds, C classes, B resamples, M metrics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedbed import metrics
from seedbed.config import UserError
from seedbed.evaluation.intervals import (
    CHUNK_NUMBERS,
    Draws,
    Estimate,
    Floats,
    Statistic,
    bootstrap,
    estimates,
    proportion,
)

SCORES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "matthews")
OF_TWO = ("f1", "accuracy_f1")
"""Of the last of two classes, and its mean with accuracy; told where they are the official score."""
BOUNDS = {"matthews": (-1.0, 1.0)}


@dataclass(frozen=True)
class Classified:
    """A text run's predictions on the test split of a task: every seed on the same examples."""

    run: str
    task: str
    label_names: tuple[str, ...]
    ids: tuple[str, ...]
    labels_N: NDArray[np.int64]
    predicted_SN: NDArray[np.int64]
    seeds: tuple[int, ...]
    frame: pl.DataFrame
    """As it came, with whatever probabilities it holds."""
    headline: str = "accuracy"
    """The official score."""

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        *,
        run: str,
        task: str,
        label_names: Sequence[str],
        headline: str = "accuracy",
    ) -> "Classified":
        """Check and align a frame of predictions; UserError where seeds saw different examples."""
        if frame.is_empty():
            raise UserError(f"finetune {run}: no test predictions; the test split of {task} is empty")
        frame = frame.sort("seed", "id")
        parts = frame.partition_by("seed", maintain_order=True)
        first = parts[0]
        for part in parts:
            same = part["id"].equals(first["id"]) and part["label"].equals(first["label"])
            if not same or part["id"].n_unique() != part.height:
                raise UserError(
                    f"finetune {run}: seed {part['seed'][0]} was not scored once on each of the "
                    f"{first.height} test examples of seed {first['seed'][0]}; fine-tune it again"
                )
        return cls(
            run=run,
            task=task,
            label_names=tuple(label_names),
            ids=tuple(first["id"].cast(pl.String).to_list()),
            labels_N=first["label"].to_numpy().astype(np.int64),
            predicted_SN=np.stack([part["predicted"].to_numpy().astype(np.int64) for part in parts]),
            seeds=tuple(int(part["seed"][0]) for part in parts),
            frame=frame,
            headline=headline,
        )

    @property
    def n(self) -> int:
        return len(self.labels_N)

    @property
    def score_names(self) -> tuple[str, ...]:
        """SCORES, and of OF_TWO what the official score is made of."""
        return SCORES + OF_TWO[: OF_TWO.index(self.headline) + 1 if self.headline in OF_TWO else 0]

    def confusion(self) -> metrics.Counts:
        """Counts (C, C) added over seeds."""
        classes = len(self.label_names)
        matrices = [
            metrics.confusion_matrix(self.labels_N, predicted_N, num_classes=classes)
            for predicted_N in self.predicted_SN
        ]
        return np.asarray(np.sum(matrices, axis=0), np.int64)

    @property
    def support(self) -> list[int]:
        """Test examples of each label."""
        return [int(count) for count in np.bincount(self.labels_N, minlength=len(self.label_names))]

    def subset(self, places: Sequence[int]) -> "Classified":
        """The run as if only these examples (by place) had been tested."""
        chosen = np.asarray(places, np.int64)
        ids = tuple(self.ids[i] for i in chosen)
        return replace(
            self,
            ids=ids,
            labels_N=self.labels_N[chosen],
            predicted_SN=self.predicted_SN[:, chosen],
            frame=self.frame.filter(pl.col("id").cast(pl.String).is_in(ids)),
        )

    def comparable(self, other: object) -> bool:
        return (
            isinstance(other, Classified)
            and (self.task, self.headline) == (other.task, other.headline)
            and self.ids == other.ids
            and np.array_equal(self.labels_N, other.labels_N)
        )


def statistic(run: Classified) -> Statistic:
    """SCORES, OF_TWO, then precision, recall and F1 of each class, of weighted examples."""
    confusions = [
        metrics.weighted_confusion(run.labels_N, predicted_N, num_classes=len(run.label_names))
        for predicted_N in run.predicted_SN
    ]

    def score(weights_BN: Floats) -> Floats:
        columns = []
        for confusion in confusions:
            counts_BCC = confusion(weights_BN)
            named = metrics.confusion_scores(counts_BCC)
            each = metrics.precision_recall_f1(counts_BCC)
            columns.append(np.column_stack([*(named[name] for name in (*SCORES, *OF_TWO)), *each]))
        return np.stack(columns, axis=1)

    return score


def of_counts(counts_BCC: Floats, *, metric: str) -> Floats:
    """One of SCORES and OF_TWO (B,) of confusion counts."""
    return metrics.confusion_scores(counts_BCC)[metric]


def draw(run: Classified, *, resamples: int, seed: int) -> Draws:
    """The bootstrap of a run; columns as `statistic` gives them."""
    # of many labels the confusion counts of a resample, and not its weights, are what fills the memory
    numbers = CHUNK_NUMBERS * run.n // max(run.n, len(run.label_names) ** 2)
    return bootstrap(statistic(run), run.n, resamples=resamples, seed=seed, numbers=numbers)


def score(run: Classified, draws: Draws, *, confidence: float, seed: int) -> dict[str, Estimate]:
    """`run.score_names` by name, then `precision/<label>`, `recall/<label>`, `f1/<label>`."""
    kinds = ("precision", "recall", "f1")
    names = [*SCORES, *OF_TWO, *(f"{kind}/{label}" for kind in kinds for label in run.label_names)]
    unit = estimates(draws, confidence=confidence, seed=seed, bounds=(0.0, 1.0))
    wide = estimates(draws, confidence=confidence, seed=seed, bounds=(-1.0, 1.0))
    kept = {*run.score_names, *names[len(SCORES + OF_TWO) :]}
    made = {name: wide[i] if name in BOUNDS else unit[i] for i, name in enumerate(names) if name in kept}
    hits = int(np.sum(run.predicted_SN[0] == run.labels_N))
    # One model's accuracy is a plain proportion; so is one that no resample can move.
    if len(run.seeds) == 1 or made["accuracy"].value in (0.0, 1.0):
        beta = proportion(hits, run.n, confidence=confidence)
        made["accuracy"] = Estimate(beta.value, beta.low, beta.high, run.n, len(run.seeds), "beta")
    return made
