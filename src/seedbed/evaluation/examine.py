"""What lies behind a text run's score: calibration, slices, errors with their texts, contamination."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from seedbed.evaluation import EvaluateRecipe
from seedbed.evaluation.calibration import calibrate
from seedbed.evaluation.contamination import Split, contaminated
from seedbed.evaluation.findings import Contaminated, Scored, TextResult
from seedbed.evaluation.intervals import Estimate
from seedbed.evaluation.predicted import Predicted, headline
from seedbed.evaluation.text_slices import Text, errors, slices


@dataclass(frozen=True)
class Evidence:
    """What a run is examined with: its predictions on valid, and the test examples by id."""

    valid: pl.DataFrame
    texts: Mapping[str, Text]
    unknown: Mapping[str, float]
    """The share of unknown pieces in each text, by the run's own tokenizer."""
    pretrained_on: str | None
    """The corpus whose train split its weights, or no more than its tokenizer, have seen."""


def examine(
    tasks: Mapping[str, Sequence[TextResult]], evidence: Mapping[str, Evidence], recipe: EvaluateRecipe
) -> dict[str, list[TextResult]]:
    """Every result with its calibration, slices and errors."""
    confidence, resamples, seed = recipe.confidence, recipe.resamples, recipe.seed
    made: dict[str, list[TextResult]] = {}
    for task, results in tasks.items():
        made[task] = []
        for result in results:
            run, known = result.predictions, evidence[result.predictions.run]
            made[task].append(
                replace(
                    result,
                    calibrated=calibrate(
                        run, known.valid, confidence=confidence, resamples=resamples, seed=seed
                    ),
                    slices=slices(
                        run, known.texts, known.unknown, confidence=confidence, resamples=resamples, seed=seed
                    ),
                    errors=errors(run, known.texts),
                )
            )
    return made


def examine_answers(
    scored: Sequence[Scored], evidence: Mapping[str, Evidence], recipe: EvaluateRecipe
) -> list[Scored]:
    """The same of answers that are no labels; a probability of being right they do not have."""
    made = []
    for one in scored:
        run, known = one.predictions, evidence[one.predictions.run]
        parts = slices(
            run,
            known.texts,
            known.unknown,
            confidence=recipe.confidence,
            resamples=recipe.resamples,
            seed=recipe.seed,
        )
        made.append(replace(one, slices=parts, errors=errors(run, known.texts)))
    return made


def contamination(
    runs: Sequence[Predicted],
    evidence: Mapping[str, Evidence],
    documents: Callable[[str], Iterable[str]],
    recipe: EvaluateRecipe,
) -> list[Contaminated]:
    """Each pretraining corpus, read once by `documents`, against the test splits of its runs."""
    groups: dict[str, dict[str, list[Predicted]]] = {}
    for run in runs:
        corpus = evidence[run.run].pretrained_on
        if corpus is not None:
            groups.setdefault(corpus, {}).setdefault(run.task, []).append(run)
    found = []
    for corpus, tasks in sorted(groups.items()):
        splits = []
        for task, of_task in sorted(tasks.items()):
            first = of_task[0]
            texts = evidence[first.run].texts
            splits.append(Split.of(task, {i: texts[i].whole for i in first.ids}))
        for result in contaminated(splits, corpus, documents(corpus), confidence=recipe.confidence):
            of_task = [run for run in tasks[result.task] if run.comparable(tasks[result.task][0])]
            clean = _clean(of_task, result.dirty_ids, recipe)
            found.append(Contaminated(result, clean, of_task[0].headline))
    return found


def _clean(runs: Sequence[Predicted], dirty: frozenset[str], recipe: EvaluateRecipe) -> dict[str, Estimate]:
    scores = {}
    for run in runs:
        places = [i for i, identity in enumerate(run.ids) if identity not in dirty]
        if places:
            scores[run.run] = headline(
                run.subset(places), confidence=recipe.confidence, resamples=recipe.resamples, seed=recipe.seed
            )
    return scores
