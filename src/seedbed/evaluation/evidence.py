"""What lies behind the scores of text runs, as tables: calibration, slices, errors, contamination."""

from collections.abc import Mapping
from math import nan
from typing import Any

from seedbed.evaluation.calibration import Calibrated
from seedbed.evaluation.findings import Findings, Scored, TextResult
from seedbed.evaluation.intervals import Estimate

Row = dict[str, Any]

ESTIMATE = ("value", "low", "high", "n", "seeds", "how")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "calibration": ("task", "run", "measure", "scaled", *ESTIMATE, "temperatures", "expected"),
    "text_slices": ("task", "run", "kind", "slice", "metric", *ESTIMATE),
    "errors": ("task", "run", "id", "label", "predicted", "wrong", "seeds", "text", "pair"),
    "contamination": (
        *("task", "corpus", "unit", "n_gram", "examples", "dirty", "share", "low", "high", "too_short"),
        *("documents", "run", "metric", "clean", "clean_low", "clean_high", "clean_n"),
    ),
}
"""The tables by name, each with its columns."""


def evidence_rows(findings: Findings) -> dict[str, list[Row]]:
    """The rows of every table in COLUMNS."""
    return {
        "calibration": calibration_rows(findings),
        "text_slices": slice_rows(findings),
        "errors": error_rows(findings),
        "contamination": contamination_rows(findings),
    }


def measures(calibrated: Calibrated | None) -> dict[str, Estimate]:
    """Calibration by name: as it came, and with `_scaled` after the temperatures."""
    if calibrated is None:
        return {}
    scaled = {f"{name}_scaled": estimate for name, estimate in calibrated.after.items()}
    return {**calibrated.before, **scaled}


def contamination_tree(findings: Findings) -> dict[str, Any]:
    """corpus -> `test/<task>` -> the share of dirty examples."""
    tree: dict[str, Any] = {}
    for one in findings.contamination:
        tree.setdefault(one.found.corpus, {})[f"test/{one.found.task}"] = one.found.dirty.leaves()
    return tree


def calibration_rows(findings: Findings) -> list[Row]:
    return [
        {"task": task, "run": result.predictions.run, "measure": name.removesuffix("_scaled")}
        | {"scaled": name.endswith("_scaled")}
        | _estimate(estimate)
        | {
            "temperatures": " ".join(f"{t:.6g}" for t in result.calibrated.temperatures),
            "expected": result.calibrated.expected if name == "ece" else nan,
        }
        for task, results in findings.tasks.items()
        for result in results
        if result.calibrated is not None
        for name, estimate in measures(result.calibrated).items()
    ]


def slice_rows(findings: Findings) -> list[Row]:
    return [
        {"task": task, "run": result.predictions.run, "kind": part.kind, "slice": part.name}
        | {"metric": part.metric}
        | _estimate(part.score)
        for task, result in _text_results(findings)
        for part in result.slices
    ]


def error_rows(findings: Findings) -> list[Row]:
    """Every error with its whole text."""
    return [
        {"task": task, "run": result.predictions.run, "text": error.text.text, "pair": error.text.pair or ""}
        | {name: getattr(error, name) for name in ("id", "label", "predicted", "wrong", "seeds")}
        for task, result in _text_results(findings)
        for error in result.errors
    ]


def _text_results(findings: Findings) -> list[tuple[str, TextResult | Scored]]:
    labelled = [(task, result) for task, results in findings.tasks.items() for result in results]
    return [*labelled, *((one.predictions.task, one) for one in findings.scored)]


def contamination_rows(findings: Findings) -> list[Row]:
    """A row for each run that was scored on the clean examples, or one without a run where none is clean."""
    rows = []
    for one in findings.contamination:
        found = one.found
        facts = {
            "task": found.task,
            "corpus": found.corpus,
            "unit": found.unit,
            "n_gram": found.n,
            "examples": found.dirty.n,
            "dirty": len(found.dirty_ids),
            "share": found.dirty.value,
            "low": found.dirty.low,
            "high": found.dirty.high,
            "too_short": found.too_short,
            "documents": found.num_documents,
            "metric": one.metric,
        }
        for run, e in (one.clean or {"": Estimate(nan, nan, nan, 0)}).items():
            clean = {"clean": e.value, "clean_low": e.low, "clean_high": e.high, "clean_n": e.n}
            rows.append(facts | {"run": run} | clean)
    return rows


def _estimate(estimate: Estimate) -> Row:
    return {name: getattr(estimate, name) for name in ESTIMATE}
