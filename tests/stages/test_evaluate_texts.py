"""Written texts through finetune and evaluate: scores with intervals, verdicts that know which way is better."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import polars as pl
import pytest

from seedbed.evaluation import EvaluateRecipe, tables
from seedbed.evaluation.findings import Findings
from seedbed.evaluation.registration import register
from seedbed.evaluation.report import render
from seedbed.stages import evaluate, finetune
from seedbed.workspace import artifact
from tests.evaluation.test_registration import Remembers
from tests.stages.writing import make_project, workspace, writing

RECIPE = EvaluateRecipe.parse(
    {
        "resamples": 200,
        "finetune": [{"a": "long", "b": "short"}, {"a": "long", "b": "short", "metric": "bleu"}],
        "equivalence": {"chrf": 0.5},
    },
    "evaluate",
)
STEPS = {"long": 60, "short": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    make_project(root)
    return root


@pytest.fixture
def findings(root: Path, track: Callable[[ModuleType], Any]) -> Findings:
    """Of two runs by perplexity: one has learned its answer by heart, one has hardly begun."""
    track(finetune)
    runs = {name: writing(max_steps=steps, metric="perplexity") for name, steps in STEPS.items()}
    for name, given in runs.items():
        finetune.run(workspace(root, name), given)
    lock: Any = SimpleNamespace(
        finetune=runs,
        pretrain={"gpt": SimpleNamespace(tokens="bpe")},
        tokenize={"bpe": SimpleNamespace(corpus="tiny")},
        preprocess={"tiny": None},
        forecast={},
    )
    place = workspace(root, "report")
    named = {f"finetune/{name}": artifact(root, "finetune", name) for name in runs}
    place = replace(place, verb="evaluate", out=root / "reports", inputs={**place.inputs, **named})
    return evaluate.find(place, RECIPE, lock)


def test_written_texts_are_scored_judged_and_registered(findings: Findings, tmp_path: Path) -> None:
    scores = {one.predictions.run: one.scores for one in findings.scored}
    for run in scores.values():
        assert set(run) == {"bleu", "chrf", "exact_match", "perplexity"}
        for one in run.values():
            assert one.low <= one.value <= one.high and (one.n, one.seeds) == (12, 2)
    assert scores["long"]["exact_match"].value == 1 and scores["long"]["bleu"].value == pytest.approx(100)
    assert scores["long"]["perplexity"].value < 2 < scores["short"]["perplexity"].value
    # by perplexity the smaller wins, by BLEU the greater: both say the same
    perplexity, bleu = findings.headline
    assert (perplexity.metric, bleu.metric) == ("perplexity", "bleu")
    assert perplexity.difference.value < 0 < bleu.difference.value
    for verdict in findings.headline:
        assert verdict.words == "long is better than short" and verdict.p_better > 0.95
        assert verdict.p_holm <= 0.02
    told = Remembers()
    register(told, findings)  # type: ignore[arg-type]
    assert {v["path"]: v["aliases"] for v in told.versions} == {
        "models/finetune/long": ["best"], "models/finetune/short": [],
    }  # fmt: skip
    # what was written beside what was published, and the answers found in the backbone's corpus
    [worst] = [one for one in findings.scored if one.predictions.run == "short"]
    assert worst.errors and worst.errors[0].label == "둘째 글 😀"
    assert {s.kind for s in worst.slices} >= {"length", "script"}
    [dirty] = findings.contamination
    assert dirty.metric == "perplexity" and set(dirty.clean) <= set(STEPS)
    tables.write(findings, tmp_path)
    rows = pl.read_csv(tmp_path / "tables/finetune.csv")
    assert set(rows["metric"]) >= {"bleu", "chrf", "exact_match", "perplexity"}
    page = render(findings)
    assert "BLEU" in page and page.index('row">long<') < page.index('row">short<'), "the better one first"


@pytest.mark.slow
def test_two_processes_write_what_one_writes(root: Path) -> None:
    for name, devices in (("one", 1), ("two", 2)):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
        words = [*(launcher if devices > 1 else []), "-m", "tests.stages.writing", str(root), name]
        done = subprocess.run(
            [sys.executable, *words, str(devices)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
    one, two = (
        pl.read_parquet(artifact(root, "finetune", name) / "predictions.parquet") for name in ("one", "two")
    )
    assert one.drop("nats").equals(two.drop("nats")) and one["seed"].n_unique() == 2
    assert two["nats"].to_list() == pytest.approx(one["nats"].to_list(), rel=1e-4)
    assert one["predicted"].str.len_chars().max() > 0, "nothing written compares nothing"
