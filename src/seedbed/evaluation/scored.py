"""Test answers of runs whose task is no plain labelling (numbers, sets, tags, answers, choices), scored.

The task gives its official scores as functions of the weights of its examples; here they get their intervals,
by the bootstrap that every other score gets. Shapes: B resamples, S seeds, N examples, M scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from seedbed.config import UserError
from seedbed.evaluation.intervals import Estimate, Floats, bootstrap, estimates

WeightedScores = Mapping[str, Callable[[Floats], Floats]]


@dataclass(frozen=True)
class Scored:
    """A run's table of answers, all seeds, and its scores with their intervals."""

    run: str
    task: str
    n: int
    frame: pl.DataFrame
    scores: Mapping[str, Estimate]


def score(
    frame: pl.DataFrame,
    statistics: Callable[[pl.DataFrame], WeightedScores],
    *,
    run: str,
    task: str,
    resamples: int,
    confidence: float,
    seed: int,
) -> Scored:
    """`statistics` reads one seed's rows; UserError where seeds saw different examples."""
    parts = [part.sort("id") for part in frame.partition_by("seed", maintain_order=True)]
    for part in parts:
        if not part["id"].equals(parts[0]["id"]) or part["id"].n_unique() != part.height:
            raise UserError(
                f"finetune {run}: seed {part['seed'][0]} was not scored once on each of the "
                f"{parts[0].height} test examples of seed {parts[0]['seed'][0]}; fine-tune it again"
            )
    of_seeds: Sequence[WeightedScores] = [statistics(part) for part in parts]
    names = list(of_seeds[0])

    def statistic(weights_BN: Floats) -> Floats:
        return np.stack(
            [np.stack([of_seed[name](weights_BN) for name in names], axis=1) for of_seed in of_seeds], axis=1
        )

    draws = bootstrap(statistic, parts[0].height, resamples=resamples, seed=seed)
    made = estimates(draws, confidence=confidence, seed=seed, bounds=(-1.0, 1.0))
    return Scored(run, task, parts[0].height, frame, dict(zip(names, made, strict=True)))
