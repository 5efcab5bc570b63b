"""Seeds of heads and of orders apart, and the spread of what they give."""

import statistics

import pytest

from seedbed.config import UserError
from seedbed.tasks.seeds import GridSeedsConfig, PairedSeedsConfig, Sources, summarise


def test_a_grid_is_every_head_with_every_order() -> None:
    config = GridSeedsConfig(name="grid", head=(3, 4), order=(0, 1, 2))
    expected = [(3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2)]
    assert config.sources() == [Sources(*pair) for pair in expected]


def test_pairs_are_side_by_side() -> None:
    config = PairedSeedsConfig(name="paired", head=(7, 7, 8), order=(1, 2, 1))
    assert config.sources() == [Sources(7, 1), Sources(7, 2), Sources(8, 1)]


@pytest.mark.parametrize(
    ("kind", "head", "order", "told"),
    [
        (GridSeedsConfig, [1, 1], [1, 2], "must be different"),
        (GridSeedsConfig, [1], [], "order"),
        (GridSeedsConfig, [-1], [1], "greater than or equal to 0"),
        (PairedSeedsConfig, [1, 2], [1], "as many heads as orders"),
        (PairedSeedsConfig, [1, 1], [2, 2], "no pair twice"),
    ],
)
def test_what_cannot_be_is_refused(kind: type, head: list[int], order: list[int], told: str) -> None:
    name = "grid" if kind is GridSeedsConfig else "paired"
    with pytest.raises(UserError, match=told):
        kind.parse({"name": name, "head": head, "order": order}, "separate_seeds")


def test_the_spread_is_the_samples() -> None:
    values = {1: 0.5, 2: 0.75, 3: 0.625}
    found = summarise({seed: {"valid/accuracy": value} for seed, value in values.items()})
    assert found["valid/accuracy"] == 0.625
    assert found["std/valid/accuracy"] == pytest.approx(statistics.stdev(values.values()), rel=1e-15)
    assert [found[f"seed-{seed}/valid/accuracy"] for seed in values] == list(values.values())
    assert set(summarise({5: {"valid/loss": 1.0}})) == {"valid/loss", "seed-5/valid/loss"}


def test_a_grid_tells_heads_from_orders() -> None:
    """Scores of head + order: the heads' share and the orders' are known."""
    sources = dict(enumerate(GridSeedsConfig(name="grid", head=(0, 10, 20), order=(0, 1)).sources(), 1))
    found = summarise({n: {"x": float(s.head + s.order)} for n, s in sources.items()}, sources)
    assert found["std-head/x"] == statistics.stdev([0.5, 10.5, 20.5])
    assert found["std-order/x"] == statistics.stdev([10.0, 11.0])
    paired = dict(enumerate(PairedSeedsConfig(name="paired", head=(1, 2), order=(1, 2)).sources(), 1))
    assert "std-head/x" not in summarise({n: {"x": 1.0} for n in paired}, paired)
