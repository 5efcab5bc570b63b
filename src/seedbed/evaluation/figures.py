"""Figures as inline SVG: no script, no outside resource, colours from the page's light or dark theme.

Each function returns safe markup: every text is escaped, every figure has a title and a
description for screen readers. Coordinates are rounded, so equal numbers give equal bytes.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from seedbed.evaluation.intervals import Estimate

Points = Sequence[tuple[float, float]]
COLOURS = 6
SMALL = 6
"""Classes of a confusion matrix that has room for its zeros."""


@dataclass(frozen=True)
class Chart:
    """A figure with its caption and keys, as the template lays it out."""

    caption: str
    svg: Markup
    legend: Markup | str = ""


def number(value: float, digits: int = 3) -> str:
    """A value for people: a fixed count of significant digits, a real minus, an en dash for nan."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 10**digits or size == 0:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def fixed(value: float, decimals: int) -> str:
    """A value with a fixed count of decimals, a real minus, an en dash for nan."""
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "–"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values (1, 2, 2.5 or 5 times a power of ten apart) inside [low, high]."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _extent(values: Sequence[float], margin: float = 0.04) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    pad = (high - low) * margin if high > low else abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def _at(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(width: float, height: float, title: str, description: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="figure" viewBox="0 0 {} {}" role="img" style="max-width:{}px">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(_at(width), _at(height), _at(width), title, description, Markup("").join(parts))


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        _at(x), _at(y), anchor, css, text
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        _at(x1), _at(y1), _at(x2), _at(y2), css
    )


def _path(points: Points, css: str) -> Markup:
    data = "".join(f"{'L' if i else 'M'}{_at(x)} {_at(y)}" for i, (x, y) in enumerate(points))
    return Markup('<path d="{}" class="{}"/>').format(data, css)


def legend(names: Mapping[str, str]) -> Markup:
    """Keys below a title: css class of a line by name."""
    items = [
        Markup(
            '<li><svg viewBox="0 0 18 10" aria-hidden="true"><path d="M1 5L17 5" class="{}"/></svg>{}</li>'
        ).format(css, name)
        for name, css in names.items()
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def colour(index: int) -> str:
    """The css class of the index-th line; dashed where the colours begin again."""
    return f"s{index % COLOURS}" + (" dashed" if index // COLOURS % 2 else "")


def line_chart(
    lines: Mapping[str, tuple[Points, str]],
    *,
    title: str,
    x_label: str,
    description: str = "",
    width: float = 520,
    height: float = 260,
    x_names: Mapping[float, str] | None = None,
    split: float | None = None,
    bands: Sequence[tuple[Points, Points, str]] = (),
    counts: Mapping[str, Sequence[int]] | None = None,
) -> Markup:
    """Named lines (points, css class); `x_names` labels the x axis; `split` draws a dotted upright.

    `bands` (low, high, css class) are filled below the lines. `counts` of a line's points are told by their
    area, and by a title.
    """
    left, right, top, bottom = 52.0, 12.0, 10.0, 34.0
    everything = [point for points, _ in lines.values() for point in points]
    everything += [point for low, high, _ in bands for point in (*low, *high)]
    x_low, x_high = _extent([x for x, _ in everything], 0.0)
    y_low, y_high = _extent([y for _, y in everything])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - x_low) / (x_high - x_low) * (width - left - right),
            top + (y_high - y) / (y_high - y_low) * (height - top - bottom),
        )

    parts: list[Markup] = []
    y_ticks, x_ticks = ticks(y_low, y_high), ticks(x_low, x_high)
    for tick, name in zip(y_ticks, tick_names(y_ticks), strict=True):
        _, y = place(x_low, tick)
        parts += [_line(left, y, width - right, y, "grid"), _text(left - 6, y + 4, name, "end")]
    named = x_names if x_names is not None else dict(zip(x_ticks, tick_names(x_ticks), strict=True))
    for value, name in named.items():
        x, _ = place(value, y_low)
        anchor = "end" if x > width - 40 else "start" if x < left + 10 else "middle"
        parts.append(_text(x, height - bottom + 16, name, anchor))
    parts.append(_text(left + (width - left - right) / 2, height - 3, x_label, "middle", "label"))
    if split is not None:
        x, _ = place(split, y_low)
        parts.append(_line(x, top, x, height - bottom, "split"))
    for low, high, css in bands:
        outline = [(x, y) for x, y in (*low, *reversed(high)) if math.isfinite(y)]
        parts.append(_path([place(x, y) for x, y in outline], f"band {css}"))
    for points, css in lines.values():
        kept = [place(x, y) for x, y in points if math.isfinite(y)]
        if len(kept) == 1:
            parts.append(
                Markup('<circle cx="{}" cy="{}" r="3" class="{}"/>').format(
                    _at(kept[0][0]), _at(kept[0][1]), css
                )
            )
        elif kept:
            parts.append(_path(kept, css))
    for name, of_points in (counts or {}).items():
        points, css = lines[name]
        for (x, y), count in zip(points, of_points, strict=True):
            across, up = place(x, y)
            parts.append(
                Markup('<circle cx="{}" cy="{}" r="{}" class="{}"><title>{}</title></circle>').format(
                    _at(across), _at(up), _at(1 + 7 * math.sqrt(count / sum(of_points))), css, f"n {count:,}"
                )
            )
    told = description or "; ".join(
        f"{name}: from {number(points[0][1])} to {number(points[-1][1])}"
        for name, (points, _) in lines.items()
        if points
    )
    return _svg(width, height, title, told, parts)


def interval_chart(
    rows: Sequence[tuple[str, Estimate, str]],
    *,
    title: str,
    places: int = 3,
    reference: float | None = None,
) -> Markup:
    """One dot with its interval per row (name, estimate, css class); `reference` draws an upright.

    Names stand above their bars, so that the figure is narrow and stays readable on a phone.
    """
    width, row_height, top, side = 460.0, 40.0, 4.0, 14.0
    ends = [end for _, e, _ in rows for end in (e.value, e.low, e.high)]
    low, high = _extent([*ends, *([] if reference is None else [reference])])
    foot = top + row_height * len(rows)

    def place(value: float) -> float:
        return side + (value - low) / (high - low) * (width - 2 * side)

    parts: list[Markup] = []
    marks = ticks(low, high)
    for tick, name in zip(marks, tick_names(marks), strict=True):
        parts += [
            _line(place(tick), top, place(tick), foot + 4, "grid"),
            _text(place(tick), foot + 19, name, "middle"),
        ]
    if reference is not None:
        parts.append(_line(place(reference), top, place(reference), foot + 4, "split"))
    told = []
    for i, (name, estimate, css) in enumerate(rows):
        y = top + row_height * i
        shown = f"{fixed(estimate.value, places)} ({interval_text(estimate, places)})"
        parts.append(_text(0, y + 14, name, "start", "name"))
        parts.append(_text(width, y + 14, shown, "end", "value"))
        if math.isfinite(estimate.low):
            parts.append(_line(place(estimate.low), y + 27, place(estimate.high), y + 27, f"bar {css}"))
        parts.append(
            Markup('<circle cx="{}" cy="{}" r="5" class="dot {}"/>').format(
                _at(place(estimate.value)), _at(y + 27), css
            )
        )
        told.append(f"{name} {shown}")
    return _svg(width, foot + 24, title, "; ".join(told), parts)


def tick_names(values: Sequence[float]) -> list[str]:
    """Tick labels with as many decimals as the closest two need."""
    step = min((abs(b - a) for a, b in pairwise(values)), default=1.0)
    places = next((d for d in range(8) if abs(round(step, d) - step) < step * 1e-6), 8)
    return [fixed(value, places) for value in values]


def interval_text(estimate: Estimate, places: int = 3) -> str:
    """`0.561 to 0.612`, or that there is none."""
    if not math.isfinite(estimate.low):
        return "no interval"
    return f"{fixed(estimate.low, places)} to {fixed(estimate.high, places)}"


def confusion_chart(matrix: Sequence[Sequence[int]], labels: Sequence[str], *, title: str) -> Markup:
    """A confusion matrix: rows actual, columns predicted, shade = share of the row, counts inside."""
    classes = len(labels)
    cell = 34.0 if classes > SMALL else 56.0
    left = 16 + _room(labels, 6.4)
    top = 26.0
    foot = 16 + _room(labels, 4.8)
    width = max(left + classes * cell + 10, 230.0)
    parts: list[Markup] = [_text(0, 14, "rows: actual; columns: predicted", "start", "label")]
    for i, row in enumerate(matrix):
        total = sum(row)
        y = top + i * cell
        parts.append(_text(left - 8, y + cell / 2 + 4, labels[i], "end", "name"))
        for j, count in enumerate(row):
            x, share = left + j * cell, count / total if total else 0.0
            parts.append(
                Markup(
                    '<rect x="{}" y="{}" width="{}" height="{}" rx="2" class="{}" style="fill-opacity:{}"/>'
                ).format(
                    _at(x),
                    _at(y),
                    _at(cell - 2),
                    _at(cell - 2),
                    "hit" if i == j else "miss",
                    f"{0.06 + 0.94 * share:.2f}" if count else "0.04",
                )
            )
            if count or classes <= SMALL:  # in a large matrix zeros hide what is there
                css = "count dark" if share > 0.65 else "count"
                parts.append(_text(x + cell / 2 - 1, y + cell / 2 + 4, f"{count}", "middle", css))
    y = top + classes * cell + 10
    for j, label in enumerate(labels):
        x = left + (j + 0.5) * cell
        parts.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="end" transform="rotate(-45 {} {})" class="name">{}</text>'
            ).format(_at(x), _at(y), _at(x), _at(y), label)
        )
    hits = sum(matrix[i][i] for i in range(classes))
    told = f"{hits} of {sum(map(sum, matrix))} predictions on the diagonal"
    return _svg(width, y + foot, title, told, parts)


def _room(labels: Sequence[str], size: float) -> float:
    """Width of the longest label; East Asian characters are twice as wide."""
    widths = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text) for text in labels]
    return size * max(widths)
