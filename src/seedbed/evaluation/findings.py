"""What an evaluation found: the values from which tables, figures and the report are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from seedbed.evaluation.calibration import Calibrated
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.comparisons import Verdict
from seedbed.evaluation.contamination import Contamination
from seedbed.evaluation.contests import Rank, Test
from seedbed.evaluation.intervals import Estimate
from seedbed.evaluation.origins import Share
from seedbed.evaluation.scored import Answered
from seedbed.evaluation.series import ALL as ALL
from seedbed.evaluation.series import Forecasted
from seedbed.evaluation.slices import Slice
from seedbed.evaluation.text_slices import Error, TextSlice


@dataclass(frozen=True)
class TextResult:
    predictions: Classified
    scores: Mapping[str, Estimate]
    calibrated: Calibrated | None = None
    """None where the predictions come without probabilities."""
    slices: Sequence[TextSlice] = ()
    errors: Sequence[Error] = ()


@dataclass(frozen=True)
class Scored:
    """A run whose answers are more than a label."""

    predictions: Answered
    scores: Mapping[str, Estimate]
    slices: Sequence[TextSlice] = ()
    errors: Sequence[Error] = ()


@dataclass(frozen=True)
class SeriesResult:
    forecasts: Forecasted
    scores: Mapping[str, Mapping[str, Estimate]]
    """By frequency (and ALL), then by metric."""


@dataclass(frozen=True)
class PanelResult:
    panel: str
    history: pl.DataFrame
    results: Sequence[SeriesResult]
    shown: Sequence[str]
    """unique_ids that the report draws."""
    slices: Sequence[Slice] = ()
    ranks: Sequence[Rank] = ()
    tests: Sequence[Test] = ()
    """Of the pairs that the recipe asks about."""
    wins: Sequence[pl.DataFrame] = ()
    """One table for each such pair."""
    by_series: Sequence[pl.DataFrame] = ()
    """For each such pair that has backtests: its tests series by series (`origins.COLUMNS`)."""
    shares: Sequence[Share] = ()
    facts: Sequence[str] = ()
    """What the reader should hear of the data: gaps, series left out."""


@dataclass(frozen=True)
class Curve:
    """One metric of one part (a seed, a frequency, or "") of a training run over its steps."""

    verb: str
    run: str
    part: str
    metric: str
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class CorpusCounts:
    """Documents per split and drops by reason, of one preprocessed corpus."""

    corpus: str
    documents: Mapping[str, int]
    dropped: Mapping[str, int]

    @property
    def read(self) -> int:
        return sum(self.documents.values()) + sum(self.dropped.values())


@dataclass(frozen=True)
class Lineage:
    """Where a row comes from: the content hash of its artifact and of what that was made from."""

    verb: str
    run: str
    artifact: str
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Contaminated:
    """A task's test split against a corpus, and what its runs score without dirty examples."""

    found: Contamination
    clean: Mapping[str, Estimate]
    """The official score by run; none where every example is dirty."""
    metric: str = "accuracy"


@dataclass(frozen=True)
class Findings:
    confidence: float
    resamples: int
    tasks: Mapping[str, Sequence[TextResult]]
    panels: Sequence[PanelResult]
    headline: Sequence[Verdict]
    """The pairs that the recipe asks about, over all test data of their task or panel."""
    details: Sequence[Verdict]
    """The same pairs by frequency."""
    curves: Sequence[Curve]
    pretraining: Mapping[str, Mapping[str, float]]
    """Metrics on the valid split that pretraining wrote, by run: without intervals."""
    corpora: Sequence[CorpusCounts]
    lineage: Sequence[Lineage]
    contamination: Sequence[Contaminated]
    commit: str
    lock_digest: str
    fingerprint: str
    scored: Sequence[Scored] = ()
    """Text runs whose answers are more than a label."""

    @property
    def scored_by_task(self) -> dict[str, list[Scored]]:
        tasks: dict[str, list[Scored]] = {}
        for one in self.scored:
            tasks.setdefault(one.predictions.task, []).append(one)
        return tasks
