"""Scores and verdicts of everything that was predicted, as the recipe asks."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

import polars as pl

from seedbed.config import UserError
from seedbed.evaluation import EvaluateRecipe, classification, contests, matching, predicted, series
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.comparisons import Verdict, compare, corrected
from seedbed.evaluation.exchange import exchange
from seedbed.evaluation.findings import ALL, PanelResult, Scored, SeriesResult, TextResult
from seedbed.evaluation.intervals import Draws, Estimate, estimates, of_defined
from seedbed.evaluation.origins import Origins, compare_origins, shares
from seedbed.evaluation.predicted import Predicted
from seedbed.evaluation.randomisation import holm, more_seeds
from seedbed.evaluation.series import Forecasted
from seedbed.evaluation.slices import Sampling, slices

NAIVE2 = "naive2"
"""The kind of the forecaster that OWA divides by (M4)."""
HIGHER_IS_BETTER = frozenset(classification.SCORES)


def assess_text(
    runs: Sequence[Predicted], recipe: EvaluateRecipe
) -> tuple[dict[str, list[TextResult]], list[Scored], list[Verdict]]:
    """Scores by task and run, those of answers that are no labels, and the verdicts over all of them."""
    draws = {run.run: predicted.draw(run, resamples=recipe.resamples, seed=recipe.seed) for run in runs}
    tasks: dict[str, list[TextResult]] = {}
    answered: list[Scored] = []
    for run in sorted(runs, key=lambda r: (r.task, r.run)):
        scores = predicted.score(run, draws[run.run], confidence=recipe.confidence, seed=recipe.seed)
        if isinstance(run, Classified):
            tasks.setdefault(run.task, []).append(TextResult(run, scores))
        else:
            answered.append(Scored(run, scores))
    return tasks, answered, _text_verdicts({run.run: run for run in runs}, draws, recipe)


def _text_verdicts(
    named: Mapping[str, Predicted], draws: Mapping[str, Draws], recipe: EvaluateRecipe
) -> list[Verdict]:
    """Of the pairs that share their test examples, on the official score unless another is named."""
    verdicts: list[Verdict] = []
    bands = {str(metric): width for metric, width in recipe.equivalence.items()}
    asked: set[tuple[frozenset[str], str]] = set()
    for i, pair in enumerate(recipe.finetune):
        for a, b in matching(pair, sorted(named), f"evaluate.finetune.{i}"):
            metric = pair.metric or named[a].headline
            if not named[a].comparable(named[b]):
                if "*" in pair.a + pair.b:
                    continue
                raise UserError(
                    f"evaluate.finetune.{i}: {a} and {b} do not answer the same test examples by the same "
                    "official score; remove the pair, or give both one corpus and task"
                )
            # two patterns may meet the same pair, from either side
            if (frozenset((a, b)), metric) in asked:
                continue
            asked.add((frozenset((a, b)), metric))
            if metric not in named[a].score_names:
                if "*" in pair.a + pair.b:
                    continue
                raise UserError(
                    f"evaluate.finetune.{i}.metric: {metric} is no score of {a}; it has "
                    f"{', '.join(named[a].score_names)}"
                )
            column = named[a].score_names.index(metric)
            verdicts.append(
                compare(
                    draws[a],
                    draws[b],
                    verb="finetune",
                    task=named[a].task,
                    scope=ALL,
                    names=(a, b),
                    metric=metric,
                    column=column,
                    higher_is_better=predicted.higher_is_better(named[a], metric),
                    equivalence=bands.get(metric, 0.0),
                    confidence=recipe.confidence,
                    seed=recipe.seed,
                    p_value=predicted.p_value(
                        named[a], named[b], metric, shuffles=recipe.resamples, seed=recipe.seed
                    ),
                    more_seeds=more_seeds(
                        draws[a], draws[b], column=column, confidence=recipe.confidence, power=recipe.power
                    ),
                )
            )
    adjusted = holm([verdict.p_value for verdict in verdicts])
    return [
        corrected(verdict, p, confidence=recipe.confidence)
        for verdict, p in zip(verdicts, adjusted, strict=True)
    ]


def assess_panel(
    runs: Sequence[Forecasted],
    history: pl.DataFrame,
    recipe: EvaluateRecipe,
    *,
    backtests: Mapping[str, Origins] = MappingProxyType({}),
    horizons: Mapping[str, int] = MappingProxyType({}),
) -> tuple[PanelResult, list[Verdict]]:
    """Scores of every forecaster of one panel, over all series and by frequency, and the verdicts.

    `backtests` by forecaster, of those that have one, are compared series by series.
    """
    panel = runs[0].panel
    naive2 = reference(runs, recipe.naive2)
    scopes = [ALL, *runs[0].frequencies()]
    draws: dict[tuple[str, str], tuple[Draws, dict[str, int]]] = {}
    results = []
    for run in sorted(runs, key=lambda r: r.forecaster):
        scores: dict[str, dict[str, Estimate]] = {}
        for scope in scopes:
            names, drawn, counts = series.draw(
                run,
                naive2,
                _frequency(scope),
                resamples=recipe.resamples,
                seed=recipe.seed,
            )
            draws[run.forecaster, scope] = drawn, counts
            made = estimates(drawn, confidence=recipe.confidence, seed=recipe.seed)
            scores[scope] = {
                name: of_defined(e, counts[name], confidence=recipe.confidence)
                for name, e in zip(names, made, strict=True)
            }
        results.append(SeriesResult(run, scores))
    verdicts = _panel_verdicts({r.forecaster: r for r in runs}, naive2, scopes, draws, recipe)
    sampling = Sampling(recipe.confidence, recipe.resamples, recipe.seed)
    ordered = [result.forecasts for result in results]
    named = {run.forecaster: run for run in runs}
    asked = _pairs(sorted(named), recipe)
    by_series = [
        compare_origins(backtests[a], backtests[b], names=(a, b), panel=panel, horizons=horizons)
        for a, b in asked
        if a in backtests and b in backtests
    ]
    found = PanelResult(
        panel,
        history,
        results,
        _shown(runs[0], recipe.series_shown),
        slices=[part for run in ordered for part in slices(run, sampling)],
        ranks=[
            rank
            for scope in scopes
            for rank in contests.ranks(
                ordered, scope=scope, frequency=_frequency(scope), confidence=recipe.confidence
            )
        ],
        tests=[
            test
            for a, b in asked
            for scope in scopes
            for test in contests.tests(named[a], named[b], scope=scope, frequency=_frequency(scope))
        ],
        wins=[contests.wins(named[a], named[b], panel=panel) for a, b in asked],
        by_series=by_series,
        shares=[share for one in by_series for share in shares(one, confidence=recipe.confidence)],
    )
    return found, verdicts


def reference(runs: Sequence[Forecasted], named: str) -> Forecasted | None:
    """What OWA is relative to: the run of just this name, else the Naive2 that fits the pattern, else any.

    A name alone makes no Naive2, unless nothing is known of a run but its name (a published table).
    """
    fitting = [run for run in runs if fnmatchcase(run.forecaster, named)]
    exact = [run for run in fitting if run.forecaster == named]
    made = [run for run in (*fitting, *runs) if run.kind == NAIVE2]
    return next(iter([*exact, *made, *(run for run in fitting if run.kind is None)]), None)


def _frequency(scope: str) -> str | None:
    return None if scope == ALL else scope


def _pairs(names: list[str], recipe: EvaluateRecipe) -> list[tuple[str, str]]:
    """The pairs that the recipe asks about, each once whatever the metric."""
    pairs = [
        found
        for i, pair in enumerate(recipe.forecast)
        for found in matching(pair, names, f"evaluate.forecast.{i}")
    ]
    return list(dict.fromkeys(pairs))


def _panel_verdicts(
    runs: Mapping[str, Forecasted],
    naive2: Forecasted | None,
    scopes: list[str],
    draws: Mapping[tuple[str, str], tuple[Draws, dict[str, int]]],
    recipe: EvaluateRecipe,
) -> list[Verdict]:
    """Over all series and by frequency; Holm's correction is over each of these two families."""
    verdicts = []
    for i, pair in enumerate(recipe.forecast):
        for a, b in matching(pair, sorted(runs), f"evaluate.forecast.{i}"):
            for scope in scopes:
                draws_a, counts = draws[a, scope]
                columns = list(counts)
                metric = pair.metric or ("owa" if "owa" in columns else "smape")
                if metric not in columns:
                    continue
                verdicts.append(
                    compare(
                        draws_a,
                        draws[b, scope][0],
                        verb="forecast",
                        task=runs[a].panel,
                        scope=scope,
                        names=(a, b),
                        metric=metric,
                        column=columns.index(metric),
                        higher_is_better=metric in HIGHER_IS_BETTER,
                        equivalence=recipe.equivalence.get(metric, 0.0),
                        confidence=recipe.confidence,
                        seed=recipe.seed,
                        p_value=exchange(
                            runs[a],
                            runs[b],
                            naive2,
                            metric,
                            frequency=_frequency(scope),
                            shuffles=recipe.resamples,
                            seed=recipe.seed,
                        ),
                        defined=counts[metric],
                    )
                )
    made = []
    for family in ([v for v in verdicts if v.scope == ALL], [v for v in verdicts if v.scope != ALL]):
        adjusted = holm([verdict.p_value for verdict in family])
        made += [
            corrected(verdict, p, confidence=recipe.confidence)
            for verdict, p in zip(family, adjusted, strict=True)
        ]
    return made


def _shown(run: Forecasted, count: int) -> list[str]:
    """For each frequency, series spread from the easiest to the hardest to forecast: no picked cherries."""
    shown: list[str] = []
    for frequency in run.frequencies():
        ranked = run.within(frequency).sort("smape", "unique_id")["unique_id"].to_list()
        few = min(count, len(ranked))
        places = [round((i + 0.5) * len(ranked) / few - 0.5) for i in range(few)]
        shown += [str(ranked[place]) for place in places]
    return shown
