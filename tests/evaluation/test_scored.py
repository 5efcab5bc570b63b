"""Scores that are no counts of labels: values as the task says, intervals by the one bootstrap, seeds averaged."""

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from scipy import stats

from seedbed.config import UserError
from seedbed.evaluation import EvaluateRecipe, classification, predicted, randomisation, scored
from seedbed.evaluation.assess import assess_text
from seedbed.evaluation.intervals import Floats
from seedbed.evaluation.scored import Answered, Judge, WeightedScores
from seedbed.tasks import TaskFacts
from seedbed.tasks.regression import RegressionConfig
from seedbed.tasks.token_classification import TokenClassificationConfig
from tests.evaluation.examples import classified, judge

NER = TokenClassificationConfig(name="token_classification")
NUMBERS = RegressionConfig(name="regression", metric="pearson_spearman")


def frame(seeds: int = 2, n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.concat(
        pl.DataFrame(
            {"seed": [seed] * n, "id": [f"{i:03}" for i in range(n)], "label": [1] * n, "f1": rng.random(n)}
        )
        for seed in range(1, seeds + 1)
    )


def means(part: pl.DataFrame) -> WeightedScores:
    f1_N = part["f1"].to_numpy()
    return {"f1": lambda weights_BN: np.asarray(weights_BN @ f1_N / weights_BN.sum(1))}


def answered(table: pl.DataFrame, statistics=means, headline: str = "f1", run: str = "a") -> Answered:
    made = Judge(headline, statistics, judge().words, judge().misses)
    return Answered.of(table, run=run, task="korquad", judge=made)


def of_task(task, table: pl.DataFrame, labels: tuple[str, ...] = (), run: str = "a") -> Answered:
    return answered(table, partial(task.statistics, facts=TaskFacts(labels=labels)), task.headline, run)


def scores(run: Answered, *, seed: int = 0, resamples: int = 500):
    draws = predicted.draw(run, resamples=resamples, seed=seed)
    return predicted.score(run, draws, confidence=0.95, seed=seed)


def numbers(rng: np.random.Generator, actual_N: Floats, noise: float, seeds: int = 1) -> pl.DataFrame:
    n = len(actual_N)
    return pl.concat(
        pl.DataFrame(
            {
                "seed": [seed] * n,
                "id": [f"{i:04}" for i in range(n)],
                "label": actual_N,
                "predicted": actual_N + rng.normal(0, noise, n),
            }
        )
        for seed in range(seeds)
    )


def test_the_value_is_the_mean_over_seeds_and_the_interval_the_central_limits() -> None:
    found = scores(answered(frame(seeds=1)))["f1"]
    values = frame(seeds=1)["f1"].to_numpy()
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)
    both = scores(answered(frame()))["f1"]
    assert both.value == pytest.approx(frame()["f1"].mean(), abs=1e-12)
    assert (both.n, both.seeds) == (400, 2)


@pytest.mark.parametrize(("bounds", "wanted"), [({}, (0.0, 1.0)), ({"f1": (-1.0, 1.0)}, (-1.0, 1.0))])
def test_an_interval_ends_where_its_score_does(
    bounds: dict[str, tuple[float, float]], wanted: tuple[float, float]
) -> None:
    """Two seeds far apart: Student's t of one degree of freedom goes beyond what a share can be."""
    one, other = ({"f1": value, "label": 1, "id": [f"{i:03}" for i in range(40)]} for value in (0.05, 0.95))
    table = pl.concat([pl.DataFrame({"seed": 1, **one}), pl.DataFrame({"seed": 2, **other})])
    run = answered(table)
    made = scores(replace(run, judge=replace(run.judge, bounds=bounds)))["f1"]
    assert (made.low, made.high) == wanted


def test_seeds_that_saw_other_examples_are_refused() -> None:
    table = frame()
    with pytest.raises(UserError, match="seed 2 was not scored once on each of the 400"):
        answered(table[:-1])
    with pytest.raises(UserError, match="no test predictions"):
        answered(table[:0])


def test_randomisation_of_exact_match_is_that_of_accuracy() -> None:
    """The same answers, once as labels and once as texts: the same shuffles, the same p."""
    labelled = [classified("a", 0.75, seeds=3), classified("b", 0.65, seeds=2, stream=4)]
    texts = [Answered.of(run.frame, run=run.run, task="t", judge=judge()) for run in labelled]
    accuracy = partial(classification.of_counts, metric="accuracy")
    p = randomisation.randomisation(labelled[0], labelled[1], accuracy, shuffles=2000, seed=3)
    assert 0.001 < p < 0.5
    assert p == randomisation.of_answers(texts[0], texts[1], "exact_match", shuffles=2000, seed=3)


def test_randomisation_of_a_correlation_enumerated() -> None:
    rng = np.random.default_rng(8)
    actual_N = rng.random(8)
    tables = [numbers(rng, actual_N, noise) for noise in (0.1, 0.9)]
    a, b = (table["predicted"].to_numpy() for table in tables)
    differences = []
    for mask in range(2**8):
        swap = np.array([mask >> i & 1 for i in range(8)], dtype=bool)
        sides = np.where(swap, b, a), np.where(swap, a, b)
        both = [
            (stats.pearsonr(actual_N, x).statistic + stats.spearmanr(actual_N, x).statistic) / 2
            for x in sides
        ]
        differences.append(both[0] - both[1])
    exact = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)
    one, other = (of_task(NUMBERS, table, run=run) for run, table in zip("ab", tables, strict=True))
    p = predicted.p_value(one, other, "pearson_spearman", shuffles=20_000, seed=0)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
    same = of_task(NUMBERS, tables[0].with_columns(label=pl.lit(3.8)), run="a")
    assert np.isnan(predicted.p_value(same, same, "pearson_spearman", shuffles=100, seed=0))


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_run_that_always_says_the_same_is_tested_too(seeds: int) -> None:
    """Its correlation is 0 in its own table, and so beside the other run's rows."""
    rng = np.random.default_rng(8)
    actual_N = rng.random(200)
    good = of_task(NUMBERS, numbers(rng, actual_N, 0.2, seeds), run="a")
    flat = of_task(NUMBERS, numbers(rng, actual_N, 0.2).with_columns(predicted=pl.lit(3.8)), run="b")
    assert scores_of(flat) == 0
    for metric in ("pearson", "spearman", "pearson_spearman"):
        assert predicted.p_value(good, flat, metric, shuffles=199, seed=0) == pytest.approx(1 / 200)
    assert predicted.p_value(flat, flat, "pearson_spearman", shuffles=199, seed=0) == 1


def tagged(rng: np.random.Generator, sentences: list[list[str]], right: float, seeds: int) -> pl.DataFrame:
    """Tags that are right `right` of the time, another one or O else."""
    rows = []
    for seed in range(seeds):
        for i, tags in enumerate(sentences):
            guessed = [t if rng.random() < right else str(rng.choice(["O", "B-PS", "B-LC"])) for t in tags]
            rows.append((seed, f"{i:04}", tags, guessed))
    return pl.DataFrame(rows, schema=["seed", "id", "label", "predicted"], orient="row")


def sentences(rng: np.random.Generator, count: int) -> list[list[str]]:
    kinds = [["O"], ["B-PS", "I-PS"], ["B-LC"], ["O", "O"]]
    return [[t for k in rng.integers(0, 4, 5) for t in kinds[k]] for _ in range(count)]


def test_verdicts_of_every_task_stand_on_its_official_score_and_share_one_correction() -> None:
    rng = np.random.default_rng(2)
    labels = ("O", "B-LC", "I-LC", "B-PS", "I-PS")
    gold, actual_N = sentences(rng, 150), rng.random(150) * 5
    runs = [
        classified("x-topics", 0.8),
        classified("y-topics", 0.5, stream=1),
        of_task(NER, tagged(rng, gold, 0.95, 2), labels, "x-ner"),
        of_task(NER, tagged(rng, gold, 0.6, 2), labels, "y-ner"),
        of_task(NUMBERS, numbers(rng, actual_N, 0.5, 2), run="x-sts"),
        of_task(NUMBERS, numbers(rng, actual_N, 0.5, 2), run="y-sts"),
    ]
    recipe = EvaluateRecipe.parse(
        {"resamples": 300, "finetune": [{"a": "x-*", "b": "y-*"}, {"a": "y-*", "b": "x-*"}]}, "evaluate"
    )
    tasks, found, verdicts = assess_text(runs, recipe)
    assert list(tasks) == ["topics"] and [one.predictions.run for one in found] == [
        "x-ner", "x-sts", "y-ner", "y-sts",
    ]  # fmt: skip
    told = {v.metric: v for v in verdicts}
    assert len(told) == len(verdicts) == 3, "a pair is asked about once, from whichever side"
    assert told["entity_f1"].words == "x-ner is better than y-ner" and told["entity_f1"].p_better > 0.99
    assert told["pearson_spearman"].outcome not in ("better", "worse")
    p_values = [v.p_value for v in verdicts]
    assert [v.p_holm for v in verdicts] == pytest.approx(randomisation.holm(p_values))
    assert told["accuracy"].p_holm > told["accuracy"].p_value
    # texts and labels of one task are no pair, and a metric that a task does not have is the user's error
    named = {"resamples": 300, "finetune": [{"a": "x-ner", "b": "y-ner", "metric": "matthews"}]}
    with pytest.raises(UserError, match="matthews is no score of x-ner; it has entity_f1, entity_macro_f1"):
        assess_text(runs, EvaluateRecipe.parse(named, "evaluate"))
    named["finetune"] = [{"a": "x-*", "b": "y-*", "metric": "macro_f1"}]
    assert [v.task for v in assess_text(runs, EvaluateRecipe.parse(named, "evaluate"))[2]] == ["topics"]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_coverage_of_scores_that_are_no_labels(seeds: int) -> None:
    """Entity F1 and the mean of two correlations; the truth is that of very many examples."""
    rng = np.random.default_rng(23)
    labels = ("O", "B-LC", "I-LC", "B-PS", "I-PS")
    trials, held = 400, {"entity_f1": 0, "pearson_spearman": 0}
    truth = {
        "entity_f1": scores_of(of_task(NER, tagged(rng, sentences(rng, 60_000), 0.8, 1), labels)),
        "pearson_spearman": scores_of(of_task(NUMBERS, numbers(rng, rng.random(500_000), 0.3))),
    }
    for trial in range(trials):
        for run in (
            of_task(NER, tagged(rng, sentences(rng, 120), 0.8, seeds), labels),
            of_task(NUMBERS, numbers(rng, rng.random(150), 0.3, seeds)),
        ):
            made = scores(run, seed=trial, resamples=300)[run.headline]
            held[run.headline] += made.low <= truth[run.headline] <= made.high
    assert all(0.92 <= count / trials <= 0.98 for count in held.values()), held


def scores_of(run: Answered) -> float:
    once_1N = np.ones((1, run.n))
    return float(scored.statistic(run)(once_1N)[0, 0, run.score_names.index(run.headline)])
