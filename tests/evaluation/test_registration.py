"""The best run by verdict, and what the registry is told of every run."""

import re
from dataclasses import replace
from typing import Any

from seedbed.evaluation.findings import TextResult
from seedbed.evaluation.registration import best, register
from tests.evaluation.examples import RECIPE, classified, findings


class Remembers:
    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []

    def log_model_version(self, model: str, **facts: Any) -> None:
        self.versions.append({"model": model, **facts})


def results() -> list[TextResult]:
    return list(findings().tasks["topics"])


def test_the_highest_accuracy_that_no_verdict_beats() -> None:
    made = findings()
    (verdict,) = [v for v in made.headline if v.verb == "finetune" and v.task == "topics"]
    assert verdict.outcome == "better" and RECIPE.finetune[0].a == "electra*"
    assert best(results(), made.headline) == "electra-topics"
    # without a verdict the value decides; a verdict against the value stands above it
    assert best(results(), []) == "electra-topics"
    assert best(results(), [replace(verdict, outcome="worse")]) == "scratch-topics"
    assert best(results(), [replace(verdict, outcome="probably worse")]) == "electra-topics"
    assert best(results(), [verdict, replace(verdict, outcome="worse")]) == "electra-topics"


def test_every_run_is_told_with_its_hash_and_one_bears_the_alias() -> None:
    made = findings()
    lineage = [
        replace(made.lineage[0], run=r.predictions.run, artifact=r.predictions.run * 2) for r in results()
    ]
    told = Remembers()
    register(told, replace(made, lineage=lineage, scored=[]))  # type: ignore[arg-type]
    assert {v["path"]: v["aliases"] for v in told.versions} == {
        "models/finetune/electra-topics": ["best"], "models/finetune/scratch-topics": [],
    }  # fmt: skip
    for version in told.versions:
        assert version["model"] == "topics" and version["digest"] == version["tags"]["run"] * 2
        assert "electra-topics is better than scratch-topics" in version["tags"]["verdicts"]
        assert re.fullmatch(r"seed 0: [\d.]+, seed 1: [\d.]+", version["tags"]["temperatures"])


def test_a_task_of_another_kind_is_registered_by_its_official_score():
    made = findings()
    row = made.lineage[0]
    lineage = [replace(row, run=one.predictions.run) for one in made.scored]
    told = Remembers()
    register(told, replace(made, tasks={}, lineage=lineage))  # type: ignore[arg-type]
    assert {v["tags"]["run"]: v["aliases"] for v in told.versions} == {
        "electra-korquad": ["best"], "scratch-korquad": [],
    }  # fmt: skip
    for version in told.versions:
        assert version["model"] == "korquad" and "test/exact_match" in version["tags"]
        assert "electra-korquad is better than scratch-korquad" in version["tags"]["verdicts"]
        assert "temperatures" not in version["tags"]


def test_rivals_are_scored_on_the_same_examples() -> None:
    made = findings()
    other = TextResult(classified("bert-topics", 0.99, n=60), dict(results()[0].scores))
    tasks = {"topics": [*results(), other]}
    row = made.lineage[0]
    lineage = [replace(row, run=r.predictions.run) for r in tasks["topics"]]
    told = Remembers()
    register(told, replace(made, tasks=tasks, scored=[], lineage=lineage))  # type: ignore[arg-type]
    assert [v["tags"]["run"] for v in told.versions if v["aliases"]] == ["electra-topics"]
