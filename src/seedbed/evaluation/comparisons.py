"""Pairwise verdicts: the probability that one model is better than another, paired over examples.

Both models are scored on the same resamples of the same examples (or series); the seeds of the
two are independent. The words follow the posterior probability and a band of differences
too small to matter (Benavoli et al. 2017, section 4, region of practical equivalence).
"""

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Literal

import numpy as np

from seedbed.evaluation.intervals import (
    Draws,
    Estimate,
    Floats,
    expanded,
    fewest,
    interval,
    seed_noise,
)

Outcome = Literal["better", "probably better", "equal", "open", "too few", "probably worse", "worse"]

WORDS: dict[Outcome, str] = {
    "better": "is better than",
    "probably better": "is probably better than",
    "equal": "is as good as",
    "open": "cannot be told apart from",
    "too few": "cannot be judged against",
    "probably worse": "is probably worse than",
    "worse": "is worse than",
}
PROBABLE = 0.9


@dataclass(frozen=True)
class Verdict:
    """Model `a` against model `b` on one metric of a task or panel.

    `difference` is a minus b, in the metric's unit; `scope` is a frequency, or "all".
    """

    verb: str
    task: str
    scope: str
    a: str
    b: str
    metric: str
    higher_is_better: bool
    value_a: float
    value_b: float
    difference: Estimate
    p_better: float
    p_equal: float
    outcome: Outcome
    p_value: float = nan
    """Of the approximate randomisation test; nan where it was not made."""
    p_holm: float = nan
    """The same after Holm's correction over all pairs that the evaluation asks about."""
    more_seeds: float = nan
    """To add on each side until a difference like this one is found; inf: seeds alone never do."""

    @property
    def words(self) -> str:
        """`a is better than b`, without numbers."""
        return f"{self.a} {WORDS[self.outcome]} {self.b}"

    def leaves(self) -> dict[str, float]:
        names = ("p_better", "p_equal", "p_value", "p_holm", "more_seeds")
        found = {name: float(getattr(self, name)) for name in names}
        return self.difference.leaves() | {name: v for name, v in found.items() if isfinite(v)}


def compare(
    a: Draws,
    b: Draws,
    *,
    verb: str,
    task: str,
    scope: str,
    names: tuple[str, str],
    metric: str,
    column: int = 0,
    higher_is_better: bool,
    equivalence: float,
    confidence: float,
    seed: int,
    p_value: float = nan,
    more_seeds: float = nan,
    defined: int | None = None,
) -> Verdict:
    """Compare metric number `column` of two models that were scored on the same resamples.

    `equivalence`: half the width of the band in which a difference does not matter. P(better)
    gives half of a tie to each and is never quite 0 or 1: B draws cannot tell that, nor can few examples
    (`intervals.expanded`). `defined`: the examples that have the metric, where not all do; with fewer than
    `intervals.fewest` there is no interval, no P and no verdict.
    """
    assert a.n == b.n and len(a.draws_BSM) == len(b.draws_BSM), (a.n, b.n)
    paired_BM = a.draws_BSM.mean(axis=1) - b.draws_BSM.mean(axis=1)
    differences_B = (paired_BM + seed_noise([a, b], seed=seed))[:, column]
    differences_B = differences_B[np.isfinite(differences_B)]
    value_a, value_b = (float(d.values_SM[:, column].mean()) for d in (a, b))
    n = a.n if defined is None else defined
    low, high = interval(differences_B, n=n, confidence=confidence)
    difference = Estimate(value_a - value_b, low, high, n, min(a.seeds, b.seeds))
    p_better = p_equal = nan
    outcome: Outcome = "too few"
    if n >= fewest(confidence):
        p_better = expanded(probability_better(differences_B, higher_is_better=higher_is_better), n=n)
        p_equal = float(np.mean(np.abs(differences_B) <= equivalence)) if differences_B.size else 0.0
        outcome = judge(
            difference, p_better=p_better, higher_is_better=higher_is_better, equivalence=equivalence
        )
    return Verdict(
        verb=verb,
        task=task,
        scope=scope,
        a=names[0],
        b=names[1],
        metric=metric,
        higher_is_better=higher_is_better,
        value_a=value_a,
        value_b=value_b,
        difference=difference,
        p_better=p_better,
        p_equal=p_equal,
        outcome=outcome,
        p_value=p_value,
        more_seeds=more_seeds,
    )


def probability_better(differences_B: Floats, *, higher_is_better: bool) -> float:
    """Share of draws in which a is better, ties halved, with half a draw added to either side."""
    gains_B = differences_B if higher_is_better else -differences_B
    wins = float(np.sum(gains_B > 0) + 0.5 * np.sum(gains_B == 0))
    return (wins + 0.5) / (gains_B.size + 1)


def judge(difference: Estimate, *, p_better: float, higher_is_better: bool, equivalence: float) -> Outcome:
    """The plain words for a difference: practical equality first, then certainty, then likelihood.

    Certain means that the interval leaves zero out, so words and interval never disagree.
    """
    if not difference.low <= difference.high:
        return "open"
    if -equivalence <= difference.low and difference.high <= equivalence:
        return "equal"
    low, high = difference.low, difference.high
    if not higher_is_better:
        low, high = -high, -low
    if low > 0 and p_better >= PROBABLE:
        return "better"
    if high < 0 and p_better <= 1 - PROBABLE:
        return "worse"
    if p_better >= PROBABLE:
        return "probably better"
    return "probably worse" if p_better <= 1 - PROBABLE else "open"


def corrected(verdict: Verdict, p_holm: float, *, confidence: float) -> Verdict:
    """The verdict after the correction; one that it takes certainty from says "probably"."""
    outcome = verdict.outcome
    if isfinite(p_holm) and p_holm > 1 - confidence:
        softer: dict[Outcome, Outcome] = {"better": "probably better", "worse": "probably worse"}
        outcome = softer.get(outcome, outcome)
    return replace(verdict, p_holm=p_holm, outcome=outcome)
