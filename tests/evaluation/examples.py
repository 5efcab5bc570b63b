"""Small made-up findings that the tests of this folder share."""

import datetime
from collections.abc import Sequence

import numpy as np
import polars as pl

from seedbed.evaluation import EvaluateRecipe
from seedbed.evaluation.assess import assess_panel, assess_text
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.examine import Evidence, contamination, examine, examine_answers
from seedbed.evaluation.findings import ALL, Contaminated, CorpusCounts, Curve, Findings, Lineage
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.predicted import Predicted
from seedbed.evaluation.scored import Answered, Judge, WeightedScores
from seedbed.evaluation.series import Forecasted, score_series
from seedbed.evaluation.text_slices import Text

LABELS = ("한국어", "<script>alert(1)</script>", "mixed 섞임 🙂")
SEASONALITY = {"yearly": 1, "quarterly": 4}
RECIPE = EvaluateRecipe.parse(
    {
        "resamples": 200,
        "finetune": [{"a": "electra*", "b": "scratch*"}],
        "forecast": [{"a": "nbeats*", "b": "naive2"}],
        "equivalence": {"accuracy": 0.01},
        "series_shown": 2,
    },
    "evaluate",
)


def predictions(accuracy: float, *, n: int = 120, seeds: int = 2, stream: int = 0) -> pl.DataFrame:
    """Seeds that are right `accuracy` of the time on the same `n` examples of three classes."""
    rng = np.random.default_rng(stream)
    labels = np.arange(n) % 3
    rows = []
    for seed in range(seeds):
        guesses = np.where(rng.random(n) < accuracy, labels, (labels + 1) % 3)
        rows += [(seed, f"d{i:04d}", int(labels[i]), int(guesses[i])) for i in range(n)]
    return pl.DataFrame(rows, schema=["seed", "id", "label", "predicted"], orient="row")


def classified(run: str, accuracy: float, **options: int) -> Classified:
    return Classified.of(
        probable(predictions(accuracy, **options)), run=run, task="topics", label_names=LABELS
    )


def panel(num_series: int = 8) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Forecasts (columns naive2 and nbeats-x, its intervals and components), truth and history of noisy trends."""
    rng = np.random.default_rng(7)
    past, future, guesses = [], [], []
    for i in range(num_series):
        frequency = "yearly" if i % 2 else "quarterly"
        values = 50 + np.cumsum(rng.normal(1, 1, 30))
        for t, value in enumerate(values):
            day = datetime.date(1950 + t, 1, 1)
            row = (f"{frequency}:{i} <b>", day, float(value), frequency)
            (past if t < 26 else future).append(row)
            if t >= 26:
                near = float(value + rng.normal(0, 0.2))
                guesses.append((row[0], day, datetime.date(1975, 1, 1), float(values[25]), near))
    columns = ["unique_id", "ds", "y", "frequency"]
    forecasts = pl.DataFrame(
        guesses, schema=["unique_id", "ds", "cutoff", "naive2", "nbeats-x"], orient="row"
    ).with_columns(
        (pl.col("nbeats-x") - 0.2).alias("nbeats-x-lo-50"),
        (pl.col("nbeats-x") + 0.2).alias("nbeats-x-hi-50"),
        (pl.col("nbeats-x") - 1).alias("nbeats-x-lo-95"),
        (pl.col("nbeats-x") + 1).alias("nbeats-x-hi-95"),
        (pl.col("nbeats-x") - 3).alias("추세 <trend>"),
        pl.lit(3.0).alias("season"),
    )
    return (
        forecasts,
        pl.DataFrame(future, schema=columns, orient="row"),
        pl.DataFrame(past, schema=columns, orient="row"),
    )


def forecasted(num_series: int = 16) -> tuple[list[Forecasted], pl.DataFrame]:
    forecasts, truth, history = panel(num_series)
    runs = [
        score_series(
            forecasts,
            truth,
            history,
            forecaster=name,
            panel="classics",
            seasonality=SEASONALITY,
            components=components,
        )
        for name, components in (("naive2", ()), ("nbeats-x", ("추세 <trend>", "season")))
    ]
    return runs, history


HOSTILE = "<img src=x onerror=alert(1)> 한국어 문장 {{ 7 * 7 }} \u202e NUMBER"


def probable(frame: pl.DataFrame, *, sure: float = 0.9) -> pl.DataFrame:
    """With probabilities: `sure` of what it predicted."""
    rest = (1 - sure) / (len(LABELS) - 1)
    return frame.with_columns(
        pl.when(pl.col("predicted") == c).then(sure).otherwise(rest).alias(f"probability_{c}")
        for c in range(len(LABELS))
    )


def judge() -> Judge:
    """Answers are right or wrong, as exact match of answers is; and a score that counts by pieces."""

    def statistics(part: pl.DataFrame) -> WeightedScores:
        right_N = (part["label"] == part["predicted"]).to_numpy().astype(np.float64)
        return {
            "exact_match": lambda weights_BN: weights_BN @ right_N / weights_BN.sum(1),
            "f1": lambda weights_BN: weights_BN @ (0.5 + right_N / 2) / weights_BN.sum(1),
        }

    def words(part: pl.DataFrame) -> tuple[list[str], list[str]]:
        actual, predicted = (["<b>답</b> " + str(v) for v in part[c]] for c in ("label", "predicted"))
        return actual, predicted

    def misses(part: pl.DataFrame) -> Floats:
        return (part["label"] - part["predicted"]).abs().to_numpy().astype(np.float64)

    return Judge("exact_match", statistics, words, misses)


def answered(run: str, accuracy: float, **options: int) -> Answered:
    return Answered.of(predictions(accuracy, **options), run=run, task="korquad", judge=judge())


def evidence(runs: Sequence[Predicted]) -> dict[str, Evidence]:
    """Texts of three scripts, some with unknown pieces; valid predictions like those on test."""
    found = {}
    for run in runs:
        texts = {
            i: Text(HOSTILE.replace("NUMBER", str(n)) if n % 3 else f"plain {'words ' * (n % 7)}")
            for n, i in enumerate(run.ids)
        }
        unknown = {i: 0.25 * (n % 4 == 0) for n, i in enumerate(run.ids)}
        found[run.run] = Evidence(run.frame, texts, unknown, pretrained_on="docs")
    return found


def contaminated(runs: Sequence[Predicted]) -> list[Contaminated]:
    known = evidence(runs)
    return contamination(runs, known, lambda corpus: [known[runs[0].run].texts["d0001"].text * 9], RECIPE)


def findings() -> Findings:
    runs = [classified("electra-topics", 0.8), classified("scratch-topics", 0.5, stream=1)]
    others = [answered("electra-korquad", 0.8), answered("scratch-korquad", 0.5, stream=1)]
    tasks, scored, verdicts = assess_text([*runs, *others], RECIPE)
    tasks = examine(tasks, evidence(runs), RECIPE)
    result, of_panel = assess_panel(*forecasted(), RECIPE)
    verdicts += of_panel
    return Findings(
        confidence=0.95,
        resamples=200,
        tasks=tasks,
        panels=[result],
        headline=[v for v in verdicts if v.scope == ALL],
        details=[v for v in verdicts if v.scope != ALL],
        curves=[
            Curve("pretrain", "electra", "", "valid/loss", [(0, 9.0), (10, 5.0), (20, float("nan"))]),
            *(
                Curve(
                    "finetune", "electra-topics", f"seed-{seed}", "valid/loss", [(0, 2.0), (10, 1.0 + seed)]
                )
                for seed in (0, 1)
            ),
            Curve("forecast", "nbeats-x", "yearly", "train/loss", [(0, 20.0), (10, 9.0)]),
            Curve("forecast", "nbeats-x", "yearly/refit", "train/loss", [(0, 20.0), (10, 9.0)]),
        ],
        pretraining={"electra": {"valid/loss": 5.0}},
        corpora=[CorpusCounts("docs", {"train": 10, "valid": 1, "test": 1}, {"too short": 3})],
        lineage=[Lineage("finetune", "electra-topics", "ab" * 16, {"data/clean/docs": "cd" * 16})],
        contamination=contaminated([*runs, *others]),
        commit="0" * 40,
        lock_digest="1" * 64,
        fingerprint="f" * 16,
        scored=examine_answers(scored, evidence(others), RECIPE),
    )
