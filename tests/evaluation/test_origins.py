"""Tests within series: the statistic of each, overlapping origins, corrections, and shares that are counted."""

import datetime

import numpy as np
import polars as pl
import pytest

from seedbed.evaluation.origins import COLUMNS, Origins, compare_origins, shares
from seedbed.evaluation.significance import benjamini_hochberg, diebold_mariano

HORIZONS = {"yearly": 6}


def origins(errors_NT: np.ndarray, *, step: int = 6, first: int = 0) -> Origins:
    rows = [
        (f"시리즈 {i}", "yearly", datetime.date(1950 + t, 1, 1), float(error))
        for i, errors in enumerate(errors_NT)
        for t, error in enumerate(errors, start=first)
    ]
    schema = ["unique_id", "frequency", "cutoff", "error"]
    return Origins(pl.DataFrame(rows, schema=schema, orient="row"), {"yearly": step})


def compare(a: Origins, b: Origins) -> pl.DataFrame:
    return compare_origins(a, b, names=("a", "b"), panel="p", horizons=HORIZONS)


def test_each_series_has_the_statistic_of_its_own_origins() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 5, 20))
    shuffled = Origins(origins(b).errors.sample(fraction=1, shuffle=True, seed=1), {"yearly": 6})
    found = compare(origins(a), shuffled)
    for i, row in enumerate(found.iter_rows(named=True)):
        expected = diebold_mariano(a[i] - b[i], horizon=1)
        assert (row["unique_id"], row["n"], row["overlap"]) == (f"시리즈 {i}", 20, 1)
        assert (row["statistic"], row["p"]) == (expected.statistic, expected.p)
    assert found["p_bh"].to_list() == benjamini_hochberg(found["p"].to_list())
    assert dict(found.schema) == COLUMNS


def test_origins_that_overlap_enter_the_variance_and_only_common_ones_count() -> None:
    a, b = np.random.default_rng(1).random((2, 3, 20))
    found = compare(origins(a, step=2), origins(b[:, 5:], step=6, first=5))
    assert found["overlap"].to_list() == [3, 3, 3] and found["n"].to_list() == [15, 15, 15]
    assert found["p"][0] == diebold_mariano(a[0, 5:] - b[0, 5:], horizon=3).p


def test_shares_count_both_ways_and_corrections_take_from_them() -> None:
    """Of 100 series 20 are better one way, 10 the other; without correction some of the rest seem so."""
    generator = np.random.default_rng(2)
    a, b = generator.normal(10, 1, (2, 100, 24))
    a[:20] -= 3
    b[20:30] -= 3
    a[99, :] = b[99, :]  # never differs: not tested
    found = {share.correction: share for share in shares(compare(origins(a), origins(b)), confidence=0.95)}
    assert {(one.series, one.tested) for one in found.values()} == {(100, 99)}
    assert (found["holm"].a_better, found["holm"].b_better) == (20, 10)
    assert 30 <= found["bh"].a_better + found["bh"].b_better <= 34
    assert 31 <= found["none"].a_better + found["none"].b_better <= 40


def test_false_alarms_are_as_promised() -> None:
    a, b = np.random.default_rng(3).normal(10, 1, (2, 400, 12))
    found = {share.correction: share for share in shares(compare(origins(a), origins(b)), confidence=0.95)}
    assert 0.03 <= (found["none"].a_better + found["none"].b_better) / 400 <= 0.07
    assert found["holm"].a_better + found["holm"].b_better <= 1


def test_benjamini_and_hochberg() -> None:
    """The example of their paper (1995, section 3.2): four of fifteen at 5 %."""
    given = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
             0.6528, 0.7590, 1.0]  # fmt: skip
    found = benjamini_hochberg(given)
    assert sum(p <= 0.05 for p in found) == 4
    from scipy import stats

    assert found == pytest.approx(stats.false_discovery_control(given).tolist())
    assert np.isnan(benjamini_hochberg([float("nan"), 0.01])[0])
    assert benjamini_hochberg([float("nan"), 0.01])[1] == 0.01


def test_without_common_origins_there_is_no_row() -> None:
    a = origins(np.ones((2, 3)))
    assert compare(a, origins(np.ones((2, 3)), first=9)).height == 0
