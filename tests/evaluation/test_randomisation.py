"""Randomisation, Holm's correction and the seeds still needed, against exact tests, textbooks and simulation."""

from functools import partial
from math import inf, isnan

import numpy as np
import polars as pl
import pytest
from scipy import stats

from seedbed.evaluation import classification
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import bootstrap
from seedbed.evaluation.randomisation import holm, more_seeds, randomisation

LABELS = ("한국어", "English", "섞인 mixed 🙂")
ACCURACY = partial(classification.of_counts, metric="accuracy")
MACRO_F1 = partial(classification.of_counts, metric="macro_f1")


def classified(labels_N, predicted_SN, run="a"):
    rows = [
        (seed, f"d{i:05d}", int(labels_N[i]), int(predicted_N[i]))
        for seed, predicted_N in enumerate(predicted_SN)
        for i in range(len(labels_N))
    ]
    frame = pl.DataFrame(rows, schema=["seed", "id", "label", "predicted"], orient="row")
    return Classified.of(frame, run=run, task="topics", label_names=LABELS)


def guesses(rng, labels_N, accuracy, seeds=1):
    wrong_SN = rng.random((seeds, len(labels_N))) >= accuracy
    return (labels_N + wrong_SN) % 3


def drawn(values_SN, *, seed=0, resamples=400):
    n = values_SN.shape[1]
    return bootstrap(lambda w: (w @ values_SN.T / n)[:, :, None], n, resamples=resamples, seed=seed)


def test_randomisation_of_accuracy_is_the_sign_test_on_discordant_examples():
    """With one seed each, exchanging flips the sign of every discordant example: McNemar's exact test."""
    labels = np.zeros(60, dtype=np.int64)
    a, b = np.zeros((1, 60), dtype=np.int64), np.zeros((1, 60), dtype=np.int64)
    a[0, :5], b[0, 5:19] = 1, 1  # a alone is wrong 5 times, b alone 14 times
    p = randomisation(classified(labels, a), classified(labels, b), ACCURACY, shuffles=20_000, seed=1)
    exact = stats.binomtest(5, 19).pvalue
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_randomisation_enumerated_for_macro_f1_over_seeds_that_differ_in_number():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 8)
    a, b = guesses(rng, labels, 0.9, seeds=3), guesses(rng, labels, 0.4, seeds=2)
    one, other = classified(labels, a), classified(labels, b, "b")

    def counts(predicted_SN, kept_N):
        made = np.zeros((3, 3))
        for predicted_N in predicted_SN:
            np.add.at(made, (labels[kept_N], predicted_N[kept_N]), 1 / len(predicted_SN))
        return made

    differences = []
    for mask in range(2**8):
        swap = np.array([mask >> i & 1 for i in range(8)], dtype=bool)
        sides = counts(a, ~swap) + counts(b, swap), counts(b, ~swap) + counts(a, swap)
        differences.append(float(np.diff([MACRO_F1(side[None])[0] for side in sides])[0]))
    exact = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12)
    p = randomisation(one, other, MACRO_F1, shuffles=20_000, seed=0)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
    # the same seed gives the same p, and the sides may be exchanged
    assert p == randomisation(one, other, MACRO_F1, shuffles=20_000, seed=0)
    assert p == pytest.approx(randomisation(other, one, MACRO_F1, shuffles=20_000, seed=0), abs=0.02)


def test_randomisation_alarms_as_often_as_it_says():
    rng = np.random.default_rng(3)
    alarms = 0
    for trial in range(400):
        labels = rng.integers(0, 3, 100)
        sides = [classified(labels, guesses(rng, labels, 0.7), run) for run in "ab"]
        alarms += randomisation(*sides, MACRO_F1, shuffles=199, seed=trial) <= 0.05
    assert stats.binomtest(alarms, 400, 0.05).pvalue > 0.001, alarms


def test_two_equal_models_give_p_one_and_the_least_p_is_one_shuffle_in_all():
    labels = np.arange(90) % 3
    same = classified(labels, labels[None])
    assert randomisation(same, same, ACCURACY, shuffles=100, seed=0) == 1
    wrong = classified(labels, (labels[None] + 1) % 3, "b")
    assert randomisation(same, wrong, ACCURACY, shuffles=100, seed=0) == pytest.approx(1 / 101)


def test_holm_on_the_textbook_example_with_an_untested_pair_between():
    # Holm's steps by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then not below the one before
    adjusted = holm([0.01, 0.04, float("nan"), 0.03, 0.005])
    assert isnan(adjusted.pop(2))
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_holm_keeps_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(0)
    alarms = sum(min(holm(rng.random(10).tolist())) <= 0.05 for _ in range(2000))
    assert stats.binomtest(alarms, 2000, 0.0489, alternative="greater").pvalue > 0.001
    assert alarms > 0.03 * 2000  # a correction that never rejects would be no test


def test_more_seeds_are_as_many_as_a_two_sample_t_test_needs():
    """Seeds that differ and examples that do not: Cohen's d of 1 needs 17 a side for power 0.8."""
    values = np.array([[-1.0], [1.0]]) / np.sqrt(2)  # variance 1 between seeds
    a, b = (np.repeat(values + shift, 50, axis=1) for shift in (1.0, 0.0))
    needed = more_seeds(drawn(a), drawn(b), confidence=0.95, power=0.8)
    assert abs(needed + 2 - 17) <= 1
    assert more_seeds(drawn(a), drawn(b), confidence=0.95, power=0.95) > needed


def test_more_seeds_when_no_number_helps_when_none_is_needed_and_when_nobody_knows():
    rng = np.random.default_rng(2)
    example = rng.normal(0, 1, 50)
    # the two sides differ by example and not by seed: only more examples would tell
    a, b = (np.tile(rng.normal(0, 1, 50), (3, 1)) for _ in range(2))
    assert more_seeds(drawn(a), drawn(b), confidence=0.95, power=0.8) == inf
    far = np.tile(example + 9, (3, 1)) + rng.normal(0, 0.01, (3, 50))
    assert more_seeds(drawn(far), drawn(np.tile(example, (3, 1))), confidence=0.95, power=0.8) == 0
    assert isnan(more_seeds(drawn(a[:1]), drawn(b), confidence=0.95, power=0.8))
    assert more_seeds(drawn(a), drawn(a), confidence=0.95, power=0.8) == inf


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_coverage_of_scores_from_predictions(seeds):
    """Skewed classes, seeds of their own skill; the truth is the mean over 20,000 skills of endless examples."""
    rng = np.random.default_rng(17)
    shares, errors = (
        np.array([0.6, 0.3, 0.1]),
        np.array([[0.8, 0.15, 0.05], [0.3, 0.6, 0.1], [0.3, 0.3, 0.4]]),
    )
    spread, n, trials = 0.04 * (seeds > 1), 400, 1000
    names = ("accuracy", "macro_f1", "matthews")
    held = dict.fromkeys(names, 0)

    def skilled(skill):
        return (1 - skill) * errors + skill * np.eye(3)

    world = np.array([skilled(skill) * shares[:, None] for skill in rng.normal(0, spread, 20_000)])
    truths = {name: float(classification.of_counts(world, metric=name).mean()) for name in names}
    for trial in range(trials):
        labels = rng.choice(3, n, p=shares)
        chances = rng.random((seeds, n, 1))
        skills = rng.normal(0, spread, seeds)
        predicted = np.stack(
            [
                (chance > np.cumsum(skilled(skill), axis=1)[labels]).sum(1).clip(max=2)
                for skill, chance in zip(skills, chances, strict=True)
            ]
        )
        run = classified(labels, predicted)
        draws = classification.draw(run, resamples=400, seed=trial)
        made = classification.score(run, draws, confidence=0.95, seed=trial)
        for name, truth in truths.items():
            held[name] += made[name].low <= truth <= made[name].high
    assert all(0.93 <= count / trials <= 0.97 for count in held.values()), held
