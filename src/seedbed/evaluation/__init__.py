"""Evaluation: how the test split is scored and which runs are compared."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from seedbed.config import Strict, UserError

Score = Literal[
    "accuracy",
    "f1",
    "accuracy_f1",
    "macro_f1",
    "micro_f1",
    "matthews",
    "pearson",
    "spearman",
    "pearson_spearman",
    "entity_f1",
    "entity_macro_f1",
    "unit_macro_f1",
    "exact_match",
    "bleu",
    "chrf",
    "perplexity",
    "smape",
    "mase",
    "owa",
]

Baseline = Literal["naive", "seasonal_naive", "naive2", "theta", "ets", "auto_arima"]


class Pair(Strict):
    """A question for the head of the report: is run `a` better than run `b`?

    Names may hold `*`; every pair of matching runs on the same test data is compared. A name
    without `*` must exist.
    """

    a: str
    b: str
    metric: Score | None = Field(
        None, description="default: the task's official score for text, OWA (else sMAPE) for series"
    )


class EvaluateRecipe(Strict):
    """How results are judged. Everything here may change a digit of the report, so DVC tracks it."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    seed: int = Field(0, ge=0, description="of the resampling")
    power: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.8, description="chance of finding a difference, for which the seeds still needed are told"
    )
    finetune: tuple[Pair, ...] = ()
    forecast: tuple[Pair, ...] = ()
    equivalence: dict[Score, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="half-width of the band in which a difference does not matter, in the metric's unit",
    )
    beside: tuple[Baseline, ...] = Field(
        ("naive", "seasonal_naive", "naive2"),
        description="baselines beside the runs of every panel; theta, ets and auto_arima are fitted to each "
        "series and take their time",
    )
    naive2: str = Field("*naive2*", description="the Naive2 that OWA is relative to")
    series_shown: int = Field(3, ge=0, le=50, description="series drawn per frequency")


def matching(pair: Pair, names: list[str], where: str) -> list[tuple[str, str]]:
    """The pairs of distinct names that `pair` asks for; UserError where a plain name is not there."""
    found: list[list[str]] = []
    for side, pattern in (("a", pair.a), ("b", pair.b)):
        hits = [name for name in names if fnmatchcase(name, pattern)]
        if not hits and "*" not in pattern:
            raise UserError(
                f"{where}.{side}: no run {pattern}; known: {', '.join(sorted(names)) or 'none'}; "
                "name one of them or remove the pair"
            )
        found.append(hits)
    if pair.a == pair.b and "*" not in pair.a:
        raise UserError(f"{where}: {pair.a} beside itself; name two runs")
    return [(a, b) for a in found[0] for b in found[1] if a != b]
