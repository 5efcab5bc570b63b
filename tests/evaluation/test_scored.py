"""Scores that are no counts of labels: values as the task says, intervals by the one bootstrap, seeds averaged."""

import numpy as np
import polars as pl
import pytest

from seedbed.config import UserError
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.scored import Scored, score


def frame(seeds: int = 2, n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.concat(
        pl.DataFrame({"seed": [seed] * n, "id": [f"{i:03}" for i in range(n)], "f1": rng.random(n)})
        for seed in range(1, seeds + 1)
    )


def scored(table: pl.DataFrame) -> Scored:
    def statistics(part: pl.DataFrame) -> dict[str, "object"]:
        f1_N = part["f1"].to_numpy()

        def mean(weights_BN: Floats) -> Floats:
            return np.asarray(weights_BN @ f1_N / weights_BN.sum(1))

        return {"f1": mean}

    return score(
        table,
        statistics,  # type: ignore[arg-type]
        run="a",
        task="korquad",
        resamples=500,
        confidence=0.95,
        seed=0,
    )


def test_the_value_is_the_mean_over_seeds_and_the_interval_the_central_limits() -> None:
    found = scored(frame(seeds=1)).scores["f1"]
    values = frame(seeds=1)["f1"].to_numpy()
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)
    both = scored(frame())
    assert both.scores["f1"].value == pytest.approx(frame()["f1"].mean(), abs=1e-12)
    assert (both.n, both.scores["f1"].seeds) == (400, 2)


def test_seeds_that_saw_other_examples_are_refused() -> None:
    table = frame()
    with pytest.raises(UserError, match="seed 2 was not scored once on each of the 400"):
        scored(table[:-1])
