"""A text run's test answers of either kind, labels or more, behind one face: drawn, scored, compared."""

from functools import partial

from seedbed.evaluation import classification, randomisation, scored
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import Draws, Estimate
from seedbed.evaluation.scored import Answered

Predicted = Classified | Answered


def draw(run: Predicted, *, resamples: int, seed: int) -> Draws:
    """The bootstrap of a run; its first columns are `run.score_names`."""
    if isinstance(run, Classified):
        return classification.draw(run, resamples=resamples, seed=seed)
    return scored.draw(run, resamples=resamples, seed=seed)


def score(run: Predicted, draws: Draws, *, confidence: float, seed: int) -> dict[str, Estimate]:
    """All scores of a run by name."""
    if isinstance(run, Classified):
        return classification.score(run, draws, confidence=confidence, seed=seed)
    return scored.score(run, draws, confidence=confidence, seed=seed)


def headline(run: Predicted, *, confidence: float, resamples: int, seed: int) -> Estimate:
    """The official score of a run, or of a part of one."""
    draws = draw(run, resamples=resamples, seed=seed)
    return score(run, draws, confidence=confidence, seed=seed)[run.headline]


def higher_is_better(run: Predicted, metric: str) -> bool:
    return isinstance(run, Classified) or metric not in run.judge.lower_is_better


def place(run: Predicted, official: Estimate) -> tuple[bool, float, str]:
    """The key by which the best official score is first, one that is not defined last; equals by name."""
    value = official.value
    if value != value:
        return True, 0.0, run.run
    return False, -value if higher_is_better(run, run.headline) else value, run.run


def p_value(a: Predicted, b: Predicted, metric: str, *, shuffles: int, seed: int) -> float:
    """Of the randomisation test between two runs on the same examples."""
    assert a.comparable(b), (a.run, b.run)
    if isinstance(a, Classified) and isinstance(b, Classified):
        of_counts = partial(classification.of_counts, metric=metric)
        return randomisation.randomisation(a, b, of_counts, shuffles=shuffles, seed=seed)
    assert isinstance(a, Answered) and isinstance(b, Answered)
    return randomisation.of_answers(a, b, metric, shuffles=shuffles, seed=seed)
