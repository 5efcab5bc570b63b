"""The pictures of a panel: series with their forecasts, components, errors by part, intervals measured."""

import math
from collections.abc import Mapping, Sequence

import polars as pl
from markupsafe import Markup

from seedbed.evaluation import figures
from seedbed.evaluation.figures import Chart, Points
from seedbed.evaluation.findings import ALL, PanelResult
from seedbed.evaluation.series import Forecasted
from seedbed.evaluation.slices import Slice

HISTORY_SHOWN = 4
"""Values of history drawn before a forecast, in horizons."""


def series_chart(
    panel: PanelResult, unique_id: str, colours: Mapping[str, str], banded: Forecasted | None = None
) -> Chart:
    """The end of a series' past, its truth, every forecast of it, and an interval of `banded`."""
    first = _of_series(panel.results[0].forecasts, unique_id)
    past = (
        panel.history.filter(pl.col("unique_id") == unique_id).sort("ds").tail(HISTORY_SHOWN * first.height)
    )
    dates = [*past["ds"].to_list(), *first["ds"].to_list()]
    before = past.height
    past_T = past["y"].fill_null(math.nan).to_list()
    last = [(float(before - 1), past_T[-1])]

    def ahead(values: pl.Series) -> list[tuple[float, float]]:
        return last + [(float(before + i), float(v)) for i, v in enumerate(values.fill_null(math.nan))]

    lines: dict[str, tuple[Points, str]] = {
        "past": ([(float(i), float(v)) for i, v in enumerate(past_T)], "history"),
    }
    for result in sorted(panel.results, key=lambda r: r.forecasts.forecaster):
        name = result.forecasts.forecaster
        part = _of_series(result.forecasts, unique_id)
        lines[name] = (ahead(part["forecast"]), colours[name])
    lines["truth"] = (ahead(first["y"]), "truth")
    bands = []
    if banded is not None:
        level = band_level(banded)
        part = _of_series(banded, unique_id)
        if part[f"lo-{level}"].is_finite().all():
            low, high = (ahead(part[f"{end}-{level}"]) for end in ("lo", "hi"))
            bands.append((low, high, colours[banded.forecaster]))
    frequency = str(first["frequency"][0])
    marks = (0, len(dates) - 1)
    svg = figures.line_chart(
        lines,
        title=f"{unique_id}, {frequency}: forecasts and truth",
        x_label="",
        width=340,
        height=200,
        x_names={float(i): _date(dates[i], frequency) for i in marks},
        split=float(before - 1),
        bands=bands,
    )
    return Chart(f"{unique_id} ({frequency})", svg)


def band_level(run: Forecasted) -> int:
    """The level that is drawn: near 80, for wider ones press the lines flat."""
    return min(run.points.intervals, key=lambda level: (abs(level - 80), level))


def _of_series(run: Forecasted, unique_id: str) -> pl.DataFrame:
    return run.rows(unique_id)


def _date(date: object, frequency: str) -> str:
    long = frequency in ("yearly", "quarterly", "monthly")
    return str(date)[: 4 if frequency == "yearly" else 7 if long else 10]


def component_chart(run: Forecasted, unique_id: str) -> Chart | None:
    """The parts of a forecast, one below the other, each on its own scale; they add up to the top one."""
    part = _of_series(run, unique_id)
    named = {name: part[name].to_list() for name in run.components if part[name].is_not_null().all()}
    if not named:
        return None
    frequency, dates = str(part["frequency"][0]), part["ds"].to_list()
    last = len(dates) - 1
    strips = [
        figures.line_chart(
            {name: ([(float(i), float(v)) for i, v in enumerate(values)], figures.colour(number))},
            title=f"{unique_id}: {name} of {run.forecaster}",
            x_label=name,
            width=340,
            height=104,
            x_names={0.0: _date(dates[0], frequency), float(last): _date(dates[last], frequency)},
        )
        for number, (name, values) in enumerate({"forecast": part["forecast"].to_list(), **named}.items())
    ]
    return Chart(f"{unique_id}: {run.forecaster}", Markup("").join(strips))


def error_charts(panel: PanelResult, colours: Mapping[str, str]) -> list[Chart]:
    """sMAPE by step ahead and by length of history, a chart for each frequency that has several."""
    charts = []
    for by, words in (("horizon", "steps ahead"), ("length", "points of history, at least (series)")):
        for frequency in _frequencies(panel.slices):
            chosen = [s for s in panel.slices if (s.by, s.frequency, s.metric) == (by, frequency, "smape")]
            places = sorted({one.at for one in chosen})
            if len(places) < 2:
                continue
            # groups stand evenly: their lengths may lie close together or far apart
            where = {at: float(number if by == "length" else at) for number, at in enumerate(places)}
            lines = _lines(chosen, colours, where)
            counts = {one.at: one.estimate.n for one in chosen}
            svg = figures.line_chart(
                lines,
                title=f"sMAPE by {by}, {frequency}",
                x_label=words,
                width=380,
                height=220,
                x_names={where[at]: f"{at:,} ({counts[at]:,})" for at in places}
                if by == "length"
                else _whole(places),
            )
            of = frequency if by == "length" else f"{frequency}, {max(counts.values()):,} series"
            charts.append(Chart(f"sMAPE % by {words} ({of})", svg))
    return charts


def coverage_charts(panel: PanelResult) -> list[Chart]:
    """The share that intervals hold, by step ahead, beside the level they promise (dotted)."""
    charts = []
    for forecaster in dict.fromkeys(one.forecaster for one in panel.slices if one.level):
        own = [one for one in panel.slices if one.forecaster == forecaster and one.metric == "coverage"]
        for frequency in _frequencies(own):
            chosen = [one for one in own if one.frequency == frequency and one.by == "horizon"]
            levels = sorted({one.level for one in chosen})
            lines: dict[str, tuple[Points, str]] = {}
            bands = []
            for number, level in enumerate(levels):
                steps = [one for one in chosen if one.level == level]
                lines[f"level {level}"] = (
                    [(float(one.at), 100 * one.estimate.value) for one in steps],
                    figures.colour(number),
                )
                ends = [(one.at, 100 * one.estimate.low, 100 * one.estimate.high) for one in steps]
                bands.append(
                    (
                        [(float(at), low) for at, low, _ in ends],
                        [(float(at), high) for at, _, high in ends],
                        figures.colour(number),
                    )
                )
                extent = (float(steps[0].at), float(steps[-1].at))
                lines[f"promised {level}"] = ([(x, float(level)) for x in extent], "split")
            svg = figures.line_chart(
                lines,
                title=f"Coverage of {forecaster} by horizon, {frequency}",
                x_label="steps ahead",
                width=380,
                height=220,
                x_names=_whole([one.at for one in chosen]),
                bands=bands,
            )
            charts.append(Chart(f"{forecaster}: % covered by steps ahead ({frequency})", svg))
    return charts


def calibration_chart(panel: PanelResult, colours: Mapping[str, str]) -> Chart | None:
    """Promised against measured coverage of each forecaster, the mean over frequencies weighted by series."""
    lines: dict[str, tuple[Points, str]] = {}
    used = {}
    for forecaster in dict.fromkeys(one.forecaster for one in panel.slices if one.level):
        chosen = [
            s for s in panel.slices if (s.forecaster, s.by, s.metric) == (forecaster, "level", "coverage")
        ]
        points = []
        for level in sorted({one.level for one in chosen}):
            estimates = [one.estimate for one in chosen if one.level == level and one.estimate.n]
            total = sum(one.n for one in estimates)
            points.append((float(level), 100 * sum(one.value * one.n for one in estimates) / max(total, 1)))
        lines[forecaster] = (points, colours[forecaster])
        used[forecaster] = colours[forecaster]
    if not lines:
        return None
    ends = [x for points, _ in lines.values() for x, _ in points] + [
        y for points, _ in lines.values() for _, y in points
    ]
    low, high = max(0.0, min(ends) - 5), min(100.0, max(ends) + 5)
    lines["as promised"] = ([(low, low), (high, high)], "split")
    svg = figures.line_chart(lines, title=f"Calibration on {panel.panel}", x_label="% promised")
    legend = figures.legend({**used, "as promised": "split"})
    return Chart("% of the values inside the interval, against the % it promised", svg, legend)


def rank_chart(panel: PanelResult, metric: str) -> Chart | None:
    """Mean ranks over all series with MCB's intervals; the dotted upright is the end of the best's."""
    ranks = sorted(
        (one for one in panel.ranks if one.scope == ALL and one.metric == metric),
        key=lambda one: (one.rank.value, one.forecaster),
    )
    if not ranks:
        return None
    svg = figures.interval_chart(
        [(one.forecaster, one.rank, figures.colour(0)) for one in ranks],
        title=f"Mean ranks on {panel.panel} by {metric}, lower is better",
        places=2,
        reference=ranks[0].rank.high if math.isfinite(ranks[0].rank.high) else None,
    )
    return Chart(f"Mean rank of {len(ranks)} over {ranks[0].rank.n:,} series; lower is better", svg)


def _frequencies(slices: Sequence[Slice]) -> list[str]:
    return list(dict.fromkeys(one.frequency for one in slices if one.by == "horizon"))


def _whole(places: Sequence[int]) -> dict[float, str]:
    """Marks of steps, which are whole."""
    marks = figures.ticks(min(places), max(places)) if len(set(places)) > 1 else [float(places[0])]
    return {mark: f"{mark:.0f}" for mark in marks if mark == int(mark)}


def _lines(
    slices: Sequence[Slice], colours: Mapping[str, str], where: Mapping[int, float]
) -> dict[str, tuple[Points, str]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in slices:
        lines.setdefault(one.forecaster, []).append((where[one.at], one.estimate.value))
    return {name: (points, colours[name]) for name, points in lines.items()}
