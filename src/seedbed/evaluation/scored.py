"""Test answers of runs whose task is no plain labelling (numbers, sets, tags, answers), and their scores.

The task gives its official scores as functions of the weights of its examples; here they get their intervals,
by the bootstrap that every other score gets. Shapes: B resamples, S seeds, N examples, M scores.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from seedbed.config import UserError
from seedbed.evaluation.intervals import Draws, Estimate, Floats, Statistic, bootstrap, estimates

WeightedScores = Mapping[str, Callable[[Floats], Floats]]
Words = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Judge:
    """What a task knows of its answers; each function reads rows of its table."""

    headline: str
    """The official score."""
    statistics: Callable[[pl.DataFrame], WeightedScores]
    words: Callable[[pl.DataFrame], Words]
    """What was published and what was answered, for people."""
    misses: Callable[[pl.DataFrame], Floats]
    """How far each answer is from what was published; 0 is no error."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The least and the most that a score can be, where it is no share from 0 to 1."""
    lower_is_better: Collection[str] = ()
    """Scores of which the smaller one wins."""


@dataclass(frozen=True)
class Answered:
    """A run's answers to the test examples of a task: every seed on the same examples."""

    run: str
    task: str
    judge: Judge
    seeds: tuple[int, ...]
    parts: tuple[pl.DataFrame, ...]
    """The rows of each seed, by id."""

    @classmethod
    def of(cls, frame: pl.DataFrame, *, run: str, task: str, judge: Judge) -> "Answered":
        """Check and align a table of answers; UserError where seeds saw different examples."""
        if frame.is_empty():
            raise UserError(f"finetune {run}: no test predictions; the test split of {task} is empty")
        parts = [part.sort("id") for part in frame.sort("seed").partition_by("seed", maintain_order=True)]
        for part in parts:
            if not part["id"].equals(parts[0]["id"]) or part["id"].n_unique() != part.height:
                raise UserError(
                    f"finetune {run}: seed {part['seed'][0]} was not scored once on each of the "
                    f"{parts[0].height} test examples of seed {parts[0]['seed'][0]}; fine-tune it again"
                )
        return cls(run, task, judge, tuple(int(part["seed"][0]) for part in parts), tuple(parts))

    @property
    def n(self) -> int:
        return self.parts[0].height

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.parts[0]["id"].cast(pl.String).to_list())

    @property
    def headline(self) -> str:
        return self.judge.headline

    @property
    def frame(self) -> pl.DataFrame:
        return pl.concat(self.parts)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores, in the order of the columns of `draw`."""
        return tuple(self.judge.statistics(self.parts[0]))

    def subset(self, places: Sequence[int]) -> "Answered":
        """The same run on some of its examples."""
        return replace(self, parts=tuple(part[list(places)] for part in self.parts))

    def comparable(self, other: object) -> bool:
        """Were both asked the same, and is the same held to be right?"""
        return (
            isinstance(other, Answered)
            and (self.task, self.headline, self.ids) == (other.task, other.headline, other.ids)
            and self.parts[0]["label"].to_list() == other.parts[0]["label"].to_list()
        )


def statistic(run: Answered) -> Statistic:
    """`run.score_names` of weighted examples, for each seed."""
    of_seeds: Sequence[WeightedScores] = [run.judge.statistics(part) for part in run.parts]

    def score(weights_BN: Floats) -> Floats:
        return np.stack(
            [np.stack([value(weights_BN) for value in of_seed.values()], axis=1) for of_seed in of_seeds],
            axis=1,
        )

    return score


def draw(run: Answered, *, resamples: int, seed: int) -> Draws:
    """The bootstrap of a run."""
    return bootstrap(statistic(run), run.n, resamples=resamples, seed=seed)


def score(run: Answered, draws: Draws, *, confidence: float, seed: int) -> dict[str, Estimate]:
    """The task's scores by name."""
    bounds = [run.judge.bounds.get(name, (0.0, 1.0)) for name in run.score_names]
    cut = {of: estimates(draws, confidence=confidence, seed=seed, bounds=of) for of in set(bounds)}
    return {
        name: cut[of][place] for place, (name, of) in enumerate(zip(run.score_names, bounds, strict=True))
    }
