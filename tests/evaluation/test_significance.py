"""Diebold-Mariano by hand and as published; MCB against Demsar's table and example, and on all of M3."""

import random

import numpy as np
import pytest

from seedbed import metrics
from seedbed.evaluation.significance import critical_distance, diebold_mariano, mean_ranks
from tests.metrics.m3 import m3, needs_m3


def test_diebold_mariano_by_hand() -> None:
    """Mean 1, autocovariances 2.5, -1.75, 1 of (3, -1, 2, 0): Harvey et al. (1997), equations 4, 9."""
    d = np.array([3.0, -1, 2, 0])
    c = d - 1
    gamma = [float(c[k:] @ c[: 4 - k]) / 4 for k in range(3)]
    assert gamma == [2.5, -1.75, 1.0]
    found = diebold_mariano(d, horizon=1)
    assert found.statistic == pytest.approx(1 / np.sqrt(2.5 / 4) * np.sqrt(3 / 4)) and found.n == 4
    smooth = np.array([3.0, 2, -1, 0])
    c = smooth - 1
    variance = (c @ c / 4 + 2 * (c[1:] @ c[:-1]) / 4) / 4
    expected = 1 / np.sqrt(variance) * np.sqrt((4 + 1 - 4 + 2 / 4) / 4)
    assert diebold_mariano(smooth, horizon=2).statistic == pytest.approx(expected)
    assert np.isnan(diebold_mariano(d, horizon=2).p), "a variance below zero has no test"
    assert np.isnan(diebold_mariano(np.ones(9)).statistic)
    gap = diebold_mariano([3.0, np.nan, -1, 2, 0])
    assert (gap.statistic, gap.n) == (found.statistic, 4)


def sample(count: int) -> np.ndarray:
    """`random.sample(range(count), count)` as Python 2 drew it."""
    pool, drawn = list(range(count)), []
    for taken in range(count):
        place = int(random.random() * (count - taken))
        drawn.append(pool[place])
        pool[place] = pool[count - taken - 1]
    return np.array(drawn, float)


def test_diebold_mariano_as_published() -> None:
    """The example in the README of github.com/johntwk/Diebold-Mariano-Test (one step ahead, three losses)."""
    state = random.getstate()
    random.seed(123)
    actual, first, second = sample(100), sample(100), sample(100)
    random.setstate(state)
    for power, statistic, p in (
        (1, 1.3275742446369585, 0.18737195617455585),
        (2, 1.2112523589452902, 0.22868210381769466),
        (4, 0.9124498079287283, 0.36374861695187799),
    ):
        found = diebold_mariano(np.abs(actual - first) ** power - np.abs(actual - second) ** power)
        assert (found.statistic, found.p) == (pytest.approx(statistic), pytest.approx(p))


def test_diebold_mariano_rejects_as_often_as_it_says() -> None:
    """Differences of three-step forecasts: moving averages of two lags, no difference in the mean."""
    rng = np.random.default_rng(0)
    shocks = rng.normal(size=(2000, 202))
    overlapping = shocks[:, 2:] + shocks[:, 1:-1] + shocks[:, :-2]
    share = {h: np.mean([diebold_mariano(d, horizon=h).p < 0.05 for d in overlapping]) for h in (1, 3)}
    assert 0.03 < share[3] < 0.08 and share[1] > 0.2, "horizon 1 forgets that they overlap"


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (10, 3.164)]
)
def test_critical_values_are_demsars(k: int, q: float) -> None:
    """Demsar (2006), table 5a: the studentized range over the root of two."""
    distance = critical_distance(k, 100, confidence=0.95)
    assert distance / np.sqrt(k * (k + 1) / 600) == pytest.approx(q, abs=1.1e-3)


def test_demsars_example() -> None:
    """Section 3.2.2: four algorithms on 14 data sets, critical difference 1.25."""
    assert critical_distance(4, 14, confidence=0.95) == pytest.approx(1.25, abs=0.005)


def test_ranks_share_ties_and_leave_gaps_out() -> None:
    ranks, n = mean_ranks(np.array([[1.0, 2, 2], [3, 1, 2], [np.nan, 1, 2]]))
    assert ranks.tolist() == [2.0, 1.75, 2.25] and n == 2
    assert np.isnan(mean_ranks(np.full((2, 3), np.nan))[0]).all()


@needs_m3
def test_theta_has_the_best_ranks_of_m3() -> None:
    """As Koning et al. (2005) found of the same 22 methods."""
    data = m3()
    errors = np.column_stack([metrics.smape(data.actual, forecast) for forecast in data.rivals.values()])
    ranks, n = mean_ranks(errors)
    names = list(data.rivals)
    assert n == 3003 and names[int(np.argmin(ranks))] == "THETA"
    reach = ranks.min() + critical_distance(22, n, confidence=0.95)
    assert {name for name, rank in zip(names, ranks, strict=True) if rank <= reach} == {
        "THETA",
        "ForecastPro",
    }
