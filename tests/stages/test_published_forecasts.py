"""The published N-BEATS recipes hold what their paper prints (Oreshkin et al. 2020, arXiv 1905.10437, table 18)."""

from pathlib import Path

import pytest

from seedbed.forecasting import ForecastRecipe
from seedbed.stages.compose import compose_run

ROOT = Path(__file__).parents[2]
M4 = {"weekly": (10, 5000), "hourly": (10, 5000)}
PRINTED = {
    "nbeats_paper_generic-m3": {
        "yearly": (20, 20), "quarterly": (20, 250), "monthly": (20, 10000), "other": (10, 250)
    },
    "nbeats_paper_interpretable-m3": {
        "yearly": (20, 50), "quarterly": (5, 6000), "monthly": (5, 6000), "other": (20, 250)
    },
    "nbeats_paper_generic-m4": M4,
}  # fmt: skip
"""L_H and iterations by frequency."""


@pytest.mark.parametrize("name", list(PRINTED))
def test_a_published_recipe_is_what_the_paper_prints(name: str) -> None:
    recipe = ForecastRecipe.parse(compose_run(ROOT, "forecast", name, {"source": "none"}, {}), name)
    config, training = recipe.forecaster, recipe.training
    assert config.name == "nbeats" and training is not None
    found = {}
    for frequency in recipe.panel.frequencies:
        own = config.by_frequency.get(frequency)
        reach = own.history_horizons if own and own.history_horizons else config.history_horizons
        found[frequency] = (reach, own.max_steps if own and own.max_steps else training.max_steps)
    assert found == PRINTED[name]
    assert (training.global_batch_size, training.optimizer.learning_rate) == (1024, 1e-3)
    # twenty steps of a warm-up of fifty would never reach the rate
    assert (training.schedule.name, training.schedule.warmup_steps) == ("constant", 0)
    assert config.lookbacks == (2, 3, 4, 5, 6, 7) and config.level == "zero"
    assert set(config.losses) == {"smape", "mape", "mase"}
    assert len(config.plan(horizon=1, seed=0)) == 180


def test_the_stacks_are_the_published_ones() -> None:
    generic, interpretable = (
        ForecastRecipe.parse(compose_run(ROOT, "forecast", name, {"source": "none"}, {}), name).forecaster
        for name in ("nbeats_paper_generic-m3", "nbeats_paper_interpretable-m3")
    )
    assert generic.name == interpretable.name == "nbeats"
    (stack,) = generic.model.stacks
    # thirty stacks of one block are thirty blocks: a stack is a name for a share of the forecast
    assert (stack.name, stack.blocks, stack.width, stack.share_weights) == ("generic", 30, 512, False)
    trend, season = interpretable.model.stacks
    assert trend.name == "trend" and (trend.blocks, trend.width, trend.degree) == (3, 256, 2)
    assert season.name == "seasonality" and (season.blocks, season.width) == (3, 2048)
    assert trend.share_weights and season.share_weights
