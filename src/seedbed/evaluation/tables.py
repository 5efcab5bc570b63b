"""The findings as files: metrics.json for `dvc metrics`, CSV tables, CSVs for `dvc plots`, predictions."""

import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import polars as pl

from seedbed.config import UserError
from seedbed.data.spool import write_table
from seedbed.evaluation import evidence, origins
from seedbed.evaluation.findings import ALL, Findings
from seedbed.evaluation.intervals import Estimate
from seedbed.workspace import write_json

Row = dict[str, Any]


def metrics_tree(findings: Findings) -> dict[str, Any]:
    """verb -> run -> `test/metric` -> value, low, high, n, seeds: all numbers finite.

    Forecasts of one frequency are `test/<frequency>/<metric>`; verdicts stand under `comparisons`.
    """
    tree: dict[str, Any] = {"finetune": {}, "forecast": {}, "pretrain": {}, "comparisons": {}}
    for results in findings.tasks.values():
        for result in results:
            tree["finetune"][result.predictions.run] = {
                f"test/{name}": estimate.leaves()
                for name, estimate in result.scores.items()
                if "/" not in name  # per class: tables/classes.csv
            } | {f"test/{name}": e.leaves() for name, e in evidence.measures(result.calibrated).items()}
    for scored in findings.scored:
        tree["finetune"][scored.predictions.run] = {
            f"test/{name}": estimate.leaves() for name, estimate in scored.scores.items()
        }
    for panel in findings.panels:
        for forecast in panel.results:
            tree["forecast"][f"{forecast.forecasts.forecaster}"] = {
                f"test/{name}" if scope == ALL else f"test/{scope}/{name}": estimate.leaves()
                for scope, scores in forecast.scores.items()
                for name, estimate in scores.items()
            }
        for part in panel.slices:
            if part.by == "level":
                scope = "" if part.frequency == ALL else f"{part.frequency}/"
                key = f"test/{scope}{part.metric}" + (f"-{part.level}" if part.level else "")
                tree["forecast"][part.forecaster][key] = part.estimate.leaves()
    for run, values in findings.pretraining.items():
        tree["pretrain"][run] = {
            name: {"value": value} for name, value in values.items() if math.isfinite(value)
        }
    tree["contamination"] = evidence.contamination_tree(findings)
    for verdict in [*findings.headline, *findings.details]:
        key = f"{verdict.a} vs {verdict.b}"
        tree["comparisons"].setdefault(verdict.verb, {}).setdefault(key, {})[
            verdict.metric if verdict.scope == ALL else f"{verdict.scope}/{verdict.metric}"
        ] = verdict.leaves()
    return tree


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The leaves of `metrics_tree` by slash-joined name: what tracking logs."""
    flat: dict[str, float] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}/") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def write(findings: Findings, out: Path) -> None:
    """Write everything but the report below `out`."""
    for folder in ("tables", "plots/confusion", "predictions"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", metrics_tree(findings))
    _csv(out / "tables/finetune.csv", finetune_rows(findings, per_class=False), FINETUNE)
    _csv(out / "tables/classes.csv", finetune_rows(findings, per_class=True), FINETUNE)
    _csv(out / "tables/forecast.csv", forecast_rows(findings), FORECAST)
    _csv(out / "tables/verdicts.csv", verdict_rows(findings), VERDICT)
    _csv(out / "tables/slices.csv", slice_rows(findings), SLICE)
    _csv(out / "tables/ranks.csv", rank_rows(findings), RANK)
    _csv(out / "tables/diebold_mariano.csv", contest_rows(findings), TEST)
    tests = [table for panel in findings.panels for table in panel.by_series]
    pl.concat([pl.DataFrame(schema=origins.COLUMNS), *tests]).with_columns(
        pl.selectors.float().fill_nan(None)
    ).write_csv(out / "tables/diebold_mariano_series.csv")
    shared = [asdict(share) for panel in findings.panels for share in panel.shares]
    _csv(out / "tables/diebold_mariano_shares.csv", shared, SHARE)
    won = [table for panel in findings.panels for table in panel.wins]
    if won:
        write_table(pl.concat(won), out / "tables/wins.parquet", statistics=False)
    _csv(out / "tables/drops.csv", drop_rows(findings), ("corpus", "reason", "documents"))
    for table, evidence_rows in evidence.evidence_rows(findings).items():
        _csv(out / f"tables/{table}.csv", evidence_rows, evidence.COLUMNS[table])
    _csv(out / "plots/curves.csv", curve_rows(findings), ("verb", "run", "part", "step", "metric", "value"))
    series = [
        r.forecasts.errors.lazy().with_columns(
            pl.lit(r.forecasts.panel).alias("panel"), pl.lit(r.forecasts.forecaster).alias("forecaster")
        )
        for p in findings.panels
        for r in p.results
    ]
    if series:
        pl.concat(series).sink_csv(out / "tables/series.csv")
    _csv(out / "plots/forecasts.csv", shown_rows(findings), ("panel", "unique_id", "ds", "name", "value"))
    taken: set[str] = set()
    for results in findings.tasks.values():
        for result in results:
            run = result.predictions
            names = run.label_names
            rows = [
                {"actual": names[a], "predicted": names[p]}
                for predicted_N in run.predicted_SN
                for a, p in zip(run.labels_N, predicted_N, strict=True)
            ]
            _csv(out / f"plots/confusion/{run.run}.csv", rows, ("actual", "predicted"))
            _predictions(out, run.run, run.frame, taken)
    for scored in findings.scored:
        _predictions(out, scored.predictions.run, scored.predictions.frame, taken)
    for panel in findings.panels:
        for forecast in panel.results:
            _predictions(out, forecast.forecasts.forecaster, forecast.forecasts.joined, taken)


def _predictions(out: Path, name: str, frame: pl.DataFrame | pl.LazyFrame, taken: set[str]) -> None:
    if name in taken:
        raise UserError(f"evaluate: two runs are called {name}; give one another name in params.yaml")
    taken.add(name)
    write_table(frame, out / f"predictions/{name}.parquet", statistics=False)


ESTIMATE = ("value", "low", "high", "n", "seeds", "how")
FINETUNE = ("task", "run", "metric", *ESTIMATE)
FORECAST = ("panel", "forecaster", "frequency", "metric", *ESTIMATE)
SLICE = ("panel", "forecaster", "frequency", "by", "at", "metric", "level", *ESTIMATE)
RANK = ("panel", "frequency", "metric", "forecaster", "among", *ESTIMATE)
TEST = ("panel", "frequency", "a", "b", "horizon", "statistic", "p", "n")
SHARE = tuple(field.name for field in fields(origins.Share))
VERDICT = (
    "verb",
    "task",
    "scope",
    "a",
    "b",
    "metric",
    "value_a",
    "value_b",
    "difference",
    "low",
    "high",
    "n",
    "seeds",
    "p_better",
    "p_equal",
    "p_value",
    "p_holm",
    "more_seeds",
    "outcome",
)


def _estimate(estimate: Estimate) -> Row:
    return {name: getattr(estimate, name) for name in ESTIMATE}


def finetune_rows(findings: Findings, *, per_class: bool) -> list[Row]:
    labelled = [
        (task, result.predictions.run, result.scores)
        for task, results in findings.tasks.items()
        for result in results
    ]
    others = [(one.predictions.task, one.predictions.run, one.scores) for one in findings.scored]
    return [
        {"task": task, "run": run, "metric": name, **_estimate(estimate)}
        for task, run, scores in [*labelled, *others]
        for name, estimate in scores.items()
        if ("/" in name) == per_class
    ]


def forecast_rows(findings: Findings) -> list[Row]:
    return [
        {
            "panel": panel.panel,
            "forecaster": result.forecasts.forecaster,
            "frequency": scope,
            "metric": name,
            **_estimate(estimate),
        }
        for panel in findings.panels
        for result in panel.results
        for scope, scores in result.scores.items()
        for name, estimate in scores.items()
    ]


def slice_rows(findings: Findings) -> list[Row]:
    return [
        {"panel": panel.panel, **{name: getattr(part, name) for name in SLICE[1:7]}}
        | _estimate(part.estimate)
        for panel in findings.panels
        for part in panel.slices
    ]


def rank_rows(findings: Findings) -> list[Row]:
    return [
        {
            "panel": panel.panel,
            "frequency": rank.scope,
            "metric": rank.metric,
            "forecaster": rank.forecaster,
            "among": rank.among,
            **_estimate(rank.rank),
        }
        for panel in findings.panels
        for rank in panel.ranks
    ]


def contest_rows(findings: Findings) -> list[Row]:
    return [
        {
            "panel": panel.panel,
            "frequency": test.scope,
            "a": test.a,
            "b": test.b,
            "horizon": test.horizon,
            "statistic": test.found.statistic,
            "p": test.found.p,
            "n": test.found.n,
        }
        for panel in findings.panels
        for test in panel.tests
    ]


def verdict_rows(findings: Findings) -> list[Row]:
    return [
        {
            **{name: getattr(verdict, name) for name in VERDICT if hasattr(verdict, name)},
            "difference": verdict.difference.value,
            "low": verdict.difference.low,
            "high": verdict.difference.high,
            "n": verdict.difference.n,
            "seeds": verdict.difference.seeds,
        }
        for verdict in [*findings.headline, *findings.details]
    ]


def drop_rows(findings: Findings) -> list[Row]:
    return [
        {"corpus": corpus.corpus, "reason": reason, "documents": count}
        for corpus in findings.corpora
        for reason, count in sorted(corpus.dropped.items())
    ]


def curve_rows(findings: Findings) -> list[Row]:
    return [
        {
            "verb": curve.verb,
            "run": curve.run,
            "part": curve.part,
            "step": step,
            "metric": curve.metric,
            "value": value,
        }
        for curve in findings.curves
        for step, value in curve.points
    ]


def shown_rows(findings: Findings) -> list[Row]:
    rows: list[Row] = []
    for panel in findings.panels:
        for unique_id in panel.shown:
            for i, result in enumerate(panel.results):
                part = result.forecasts.rows(unique_id)
                named = {result.forecasts.forecaster: "forecast"} | ({"truth": "y"} if i == 0 else {})
                rows += [
                    {"panel": panel.panel, "unique_id": unique_id, "ds": ds, "name": name, "value": value}
                    for name, column in sorted(named.items(), key=lambda item: item[1], reverse=True)
                    for ds, value in part.select("ds", column).iter_rows()
                ]
    return rows


def _csv(path: Path, rows: list[Row], columns: tuple[str, ...]) -> None:
    """A table even without rows: `dvc plots` and people find the header. nan is an empty cell."""
    if rows:
        frame = pl.DataFrame(rows, infer_schema_length=None).select(columns)
    else:
        frame = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    frame.with_columns(pl.selectors.float().fill_nan(None)).write_csv(path)
