"""report.html: one self-contained page for people; verdicts first, then evidence, then where it is from."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from seedbed.evaluation import figures, panel_charts
from seedbed.evaluation.calibration import Calibrated
from seedbed.evaluation.comparisons import Verdict
from seedbed.evaluation.figures import Chart
from seedbed.evaluation.findings import ALL, Curve, Findings, PanelResult
from seedbed.evaluation.intervals import Estimate, fewest
from seedbed.evaluation.predicted import place
from seedbed.evaluation.text_slices import shown
from seedbed.evaluation.wording import (
    INTERVAL_WORDS,
    METRIC_WORDS,
    metric_words,
    p_value,
    percent,
    places,
    sentence,
    temperatures,
)

TRAINED = ("pretrain", "finetune", "forecast")
ERRORS_SHOWN = 20
"""Errors of each run in the page; tables/errors.csv has them all."""


def render(findings: Findings) -> str:
    """The page as text; the same findings give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str | int]] = {
        "number": figures.number,
        "fixed": figures.fixed,
        "interval": figures.interval_text,
        "percent": percent,
        "p_value": p_value,
        "metric": metric_words,
        "interval_metric": INTERVAL_WORDS.__getitem__,
        "places": places,
        "thousands": "{:,}".format,
        "shown": shown,
        "temperatures": temperatures,
    }
    environment.filters.update(filters)
    return environment.get_template("report.html.j2").render(
        findings=findings,
        questions=_by_task(findings.headline),
        tasks=[_task(name, findings) for name in findings.tasks],
        scored=_answered(findings),
        panels=[_panel(panel) for panel in findings.panels],
        curves=curve_charts(findings),
        sentence=sentence,
        fewest=fewest(findings.confidence),
        errors_shown=ERRORS_SHOWN,
        reasons=sorted({reason for corpus in findings.corpora for reason in corpus.dropped}),
        splits=("train", "valid", "test"),
    )


def _by_task(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.task, []).append(verdict)
    return groups


def _task(name: str, findings: Findings) -> dict[str, object]:
    main = findings.tasks[name][0].predictions.headline
    results = sorted(findings.tasks[name], key=lambda r: place(r.predictions, r.scores[main]))
    rows = [(r.predictions.run, r.scores[main], figures.colour(0)) for r in results]
    return {
        "name": name,
        "results": results,
        "metrics": [m for m in METRIC_WORDS if m in results[0].scores],
        "main": main,
        "n": results[0].predictions.n,
        "chart": figures.interval_chart(rows, title=f"{metric_words(main)} on {name}"),
        "confusions": [
            Chart(
                _summed(r.predictions.run, len(r.predictions.seeds)),
                figures.confusion_chart(
                    r.predictions.confusion().tolist(),
                    r.predictions.label_names,
                    title=f"Confusion matrix of {r.predictions.run}",
                ),
            )
            for r in results
        ],
        "reliabilities": [reliability_chart(r.calibrated) for r in results if r.calibrated],
    }


def _answered(findings: Findings) -> list[dict[str, object]]:
    """The tasks whose answers are no labels, their runs by the official score, best first."""
    made: list[dict[str, object]] = []
    for name, results in findings.scored_by_task.items():
        main = results[0].predictions.headline
        results = sorted(results, key=lambda r: place(r.predictions, r.scores[main]))
        rows = [(r.predictions.run, r.scores[main], figures.colour(0)) for r in results]
        made.append(
            {
                "name": name,
                "results": results,
                "metrics": list(results[0].scores),
                "main": main,
                "n": results[0].predictions.n,
                "chart": figures.interval_chart(rows, title=f"{metric_words(main)} on {name}"),
                "reliabilities": [],
            }
        )
    return made


def reliability_chart(calibrated: Calibrated) -> Chart:
    """Accuracy by confidence; on the dotted line a model is as often right as it is sure."""
    lines: dict[str, tuple[figures.Points, str]] = {"perfect": ([(0.0, 0.0), (1.0, 1.0)], "split")}
    counts: dict[str, list[int]] = {}
    for index, (name, bins) in enumerate(
        (("as trained", calibrated.reliability), ("with temperature", calibrated.reliability_after))
    ):
        lines[name] = ([(b.confidence, b.accuracy) for b in bins], figures.colour(index))
        counts[name] = [b.count for b in bins]
    told = "; ".join(
        f"sure {b.confidence:.2f}, right {b.accuracy:.2f} of {b.count}" for b in calibrated.reliability
    )
    svg = figures.line_chart(
        lines,
        title=f"Reliability of {calibrated.run}",
        x_label="confidence (accuracy upwards)",
        description=told,
        width=340,
        height=240,
        counts=counts,
    )
    return Chart(calibrated.run, svg, figures.legend({name: css for name, (_, css) in lines.items()}))


def _summed(run: str, seeds: int) -> str:
    return f"{run} (sum of {seeds} seeds)" if seeds > 1 else run


def _panel(panel: PanelResult) -> dict[str, object]:
    main = "owa" if any("owa" in r.scores[ALL] for r in panel.results) else "smape"
    results = sorted(panel.results, key=lambda r: (r.scores[ALL][main].value, r.forecasts.forecaster))
    rows: list[tuple[str, Estimate, str]] = [
        (r.forecasts.forecaster, r.scores[ALL][main], figures.colour(0)) for r in results
    ]
    names = sorted(r.forecasts.forecaster for r in results)
    colours = {name: figures.colour(i) for i, name in enumerate(names)}
    # one band, of the best that has intervals: several would hide one another
    banded = next((r.forecasts for r in results if r.forecasts.points.intervals), None)
    return {
        "name": panel.panel,
        "results": results,
        "scopes": [scope for scope in results[0].scores if scope == ALL or len(results[0].scores) > 2],
        "metrics": [m for m in METRIC_WORDS if m in results[0].scores[ALL]],
        "n": results[0].scores[ALL]["smape"].n,
        "facts": panel.facts,
        "main": main,
        "chart": figures.interval_chart(
            rows,
            title=f"{METRIC_WORDS[main]} on {panel.panel}, lower is better",
            places=places(main),
            reference=1.0 if main == "owa" else None,
        ),
        "legend": figures.legend({"past": "history", "truth": "truth", **colours}),
        "series": [panel_charts.series_chart(panel, unique_id, colours, banded) for unique_id in panel.shown],
        "banded": f"{panel_charts.band_level(banded)} % interval of {banded.forecaster}" if banded else "",
        "components": [
            chart
            for r in results
            for unique_id in panel.shown
            if (chart := panel_charts.component_chart(r.forecasts, unique_id)) is not None
        ],
        "ranks": panel_charts.rank_chart(panel, "smape"),
        "errors": panel_charts.error_charts(panel, colours),
        "colour_keys": figures.legend(colours),
        "coverages": panel_charts.coverage_charts(panel),
        "calibration": panel_charts.calibration_chart(panel, colours),
        "intervals": [one for one in panel.slices if one.by == "level"],
        "tests": [test for test in panel.tests if test.horizon == 0],
        "shares": list(
            zip(
                *([one for one in panel.shares if one.correction == name] for name in ("bh", "holm")),
                strict=True,
            )
        ),
    }


def curve_charts(findings: Findings) -> list[Chart]:
    """One chart for each verb, task or frequency, and metric (losses, and whatever valid was scored by).

    The seeds of a run share its colour. Second fits (`refit`) are left to plots/curves.csv.
    """
    tasks = {r.predictions.run: task for task, results in findings.tasks.items() for r in results}
    tasks |= {one.predictions.run: one.predictions.task for one in findings.scored}
    groups: dict[tuple[int, str, str, str], list[Curve]] = {}
    for curve in findings.curves:
        drawn = curve.metric.endswith("loss") or curve.metric.startswith("valid/")
        if len(curve.points) > 1 and drawn and not curve.part.endswith("/refit"):
            of = tasks.get(curve.run, "") if curve.verb == "finetune" else curve.part
            order = TRAINED.index(curve.verb)
            groups.setdefault((order, of, curve.metric, curve.verb), []).append(curve)
    charts = []
    for (_, of, metric, verb), members in sorted(groups.items()):
        css = {run: figures.colour(i) for i, run in enumerate(sorted({c.run for c in members}))}
        thin = " thin" if len(members) > len(css) else ""
        lines = {
            f"{c.run} {c.part}".strip(): ([(float(s), v) for s, v in c.points], css[c.run] + thin)
            for c in sorted(members, key=lambda c: (c.run, c.part))
        }
        name = " ".join(part for part in (verb, of) if part)
        svg = figures.line_chart(lines, title=f"{name}: {metric} by step", x_label="step")
        charts.append(Chart(f"{name}: {metric}", svg, figures.legend(css)))
    return charts
