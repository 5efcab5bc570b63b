"""Counter-based uniforms and stateless shuffles: addresses, independence, uniformity."""

import numpy as np
import pytest
from scipy import stats

from seedbed.data.randomness import derive_seed, presented, shuffled, uniform, uniform_at


@pytest.mark.parametrize("width", [1, 3, 4, 5, 130])
@pytest.mark.parametrize("first", [0, 7, 2**40])
def test_rows_are_addressed(width: int, first: int) -> None:
    together = uniform(5, "mask", first, 11, width)
    assert together.shape == (11, width) and together.dtype == np.float64
    for row in range(11):
        assert np.array_equal(uniform(5, "mask", first + row, 1, width)[0], together[row])


@pytest.mark.parametrize(
    "numbers", [[], [7], [3, 4, 5], [9, 2, 2**40, 2, 3], [5, 4, 3], [2**62, 0, 2**63 - 1]]
)
def test_rows_at_any_numbers(numbers: list[int]) -> None:
    found = uniform_at(5, "mask", np.array(numbers, np.int64), 6)
    assert found.shape == (len(numbers), 6)
    for row, number in zip(found, numbers, strict=True):
        assert np.array_equal(row, uniform(5, "mask", number, 1, 6)[0])


def test_known_values() -> None:
    """The stream is part of the recipe: these digits must never change."""
    assert uniform(1, "mask", 3, 1, 2).tolist() == [[0.8959337854009564, 0.6399679047288173]]
    assert shuffled(np.arange(10), 10, 1).tolist() == [2, 6, 5, 1, 8, 3, 4, 7, 9, 0]
    assert derive_seed(1, "a", 2) == 5109509484000477796


def test_uniform_is_uniform() -> None:
    values = uniform(0, "mask", 0, 20000, 10)
    assert values.min() >= 0 and values.max() < 1
    for column in (values[:, 0], values[:, 9], values[100], values.ravel()):
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.03


def test_streams_and_seeds_are_independent() -> None:
    base = uniform(0, "mask", 0, 5000, 4).ravel()
    for other in (uniform(0, "replace", 0, 5000, 4), uniform(1, "mask", 0, 5000, 4)):
        assert abs(np.corrcoef(base, other.ravel())[0, 1]) < 0.03
        assert not np.intersect1d(base, other.ravel()).size


def test_derived_seeds_differ() -> None:
    seeds = {derive_seed(seed, name, step) for seed in range(5) for name in "ab" for step in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, "12") != derive_seed(1, 12) != derive_seed(11, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100, 1000, 65536, 65537])
def test_every_epoch_is_a_permutation(size: int) -> None:
    for epoch in (0, 1, 5, 10**9):
        served = shuffled(np.arange(epoch * size, (epoch + 1) * size), size, 3)
        assert np.array_equal(np.sort(served), np.arange(size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000, 65537])
def test_the_presentation_of_an_example_is_found_again(size: int) -> None:
    presentations = np.concatenate([np.arange(epoch * size, (epoch + 1) * size) for epoch in (0, 1, 10**9)])
    examples = shuffled(presentations, size, 3)
    assert np.array_equal(presented(examples, presentations // size, size, 3), presentations)


def test_shuffle_has_no_state() -> None:
    together = shuffled(np.arange(5000), 1000, 3)
    backwards = shuffled(np.arange(5000)[::-1], 1000, 3)
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[1990:2010], shuffled(np.arange(1990, 2010), 1000, 3))
    epochs = together.reshape(5, 1000)
    for one in range(5):
        assert (epochs[one] == np.arange(1000)).mean() < 0.02
        for other in range(one):
            assert (epochs[one] == epochs[other]).mean() < 0.02
    assert not np.array_equal(together, shuffled(np.arange(5000), 1000, 4))
    assert shuffled(np.arange(0), 1000, 3).shape == (0,)


@pytest.mark.parametrize("size", [2, 3, 5, 10, 16, 33])
def test_shuffle_is_uniform(size: int) -> None:
    epochs = 20000
    served = shuffled(np.arange(epochs * size), size, 11).reshape(epochs, size)
    for place in (0, size // 2, size - 1):
        counts = np.bincount(served[:, place], minlength=size)
        assert stats.chisquare(counts).pvalue > 1e-4
    pairs = np.bincount(served[:, 0] * size + served[:, 1], minlength=size * size).reshape(size, size)
    assert stats.chisquare(pairs[~np.eye(size, dtype=bool)]).pvalue > 1e-4


def test_neighbours_in_one_epoch_do_not_stay_together() -> None:
    served = shuffled(np.arange(50000), 50000, 2)
    assert abs(np.corrcoef(served[:-1], served[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(50000), served)[0, 1]) < 0.02
    steps = np.diff(served)
    assert np.unique(steps).size > 30000
