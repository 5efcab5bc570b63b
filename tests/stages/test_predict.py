"""predict and serve on a fine-tuned run: the same numbers as evaluation has, through files and a socket."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from seedbed import recipes
from seedbed.config import Machine, UserError
from seedbed.metrics.temperature import nll, scaled
from seedbed.stages import finetune, predict
from seedbed.tasks.answers import Answers
from seedbed.tasks.classification import label_answer
from seedbed.tasks.inputs import read_inputs
from tests.stages.test_finetune import PAIRS, TFIDF, recipe, workspace
from tests.tasks.corpus import write_backbone, write_corpus

MACHINE = Machine(threads=1)
TEXTS = ["sort the rows of a list", "그물의 층을 만든다", "download a wheel 🙂"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_corpus(root / "data/clean/tiny")
    write_backbone(root / "models/pretrain/electra")
    return root


@pytest.fixture
def tuned(root: Path, track: Callable[[ModuleType], Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root with a run `tiny` of two seeds, and a lock that names it."""
    given = recipe()
    if not (root / "models/finetune/tiny").is_dir():
        track(finetune)
        finetune.run(workspace(root), given)
    monkeypatch.setattr(recipes, "load_lock", lambda root: SimpleNamespace(finetune={"tiny": given}))
    return root


def probabilities_of(answers: Answers, questions: list[tuple[str, ...]]) -> Any:
    return np.array([[*told["probabilities"].values()] for told in answers(questions)])


def test_the_mean_over_seeds_is_what_valid_was_predicted_with(tuned: Path) -> None:
    """The same texts in the same batches: to the bit what the stage wrote."""
    from seedbed.tasks.examples import training_examples

    given = recipe()
    _, _, valid = training_examples(given.task, tuned / "data/clean/tiny")
    written = pl.read_parquet(tuned / "models/finetune/tiny/predictions.parquet")
    columns = [f"probability_{c}" for c in range(3)]
    for seeds in ((1,), (2,), (1, 2)):
        answers = Answers(given, tuned / "models/finetune/tiny", seeds=seeds, raw=True)
        found = probabilities_of(answers, [(one.text,) for one in valid])
        parts = [written.filter(pl.col("seed") == s).select(columns).to_numpy() for s in seeds]
        np.testing.assert_array_equal(found, np.mean(parts, axis=0))
    # the first of equals; and with temperatures the same labels, the seeds' losses on valid no greater
    [told] = Answers(given, tuned / "models/finetune/tiny", seeds=(1,))([(valid[0].text,)])
    assert told["label"] == max(told["probabilities"], key=told["probabilities"].get)
    assert label_answer(np.array([0.5, 0.5]), ("가", "나"))["label"] == "가"
    for seed in (1, 2):
        tempered = Answers(given, tuned / "models/finetune/tiny", seeds=(seed,))
        rows = written.filter(pl.col("seed") == seed)
        labels, before = rows["label"].to_numpy(), rows.select(columns).to_numpy()
        after = probabilities_of(tempered, [(one.text,) for one in valid])
        assert tempered.temperatures[seed] != 1
        assert nll(after, labels).mean() < nll(before, labels).mean()
        np.testing.assert_array_equal(after.argmax(1), before.argmax(1))
        np.testing.assert_array_equal(after, scaled(before, tempered.temperatures[seed]))
    with pytest.raises(UserError, match="no seed 7; trained are 1, 2"):
        Answers(given, tuned / "models/finetune/tiny", seeds=(7,))


def test_files_in_and_out(tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    predict.run(tuned, MACHINE, ["tiny", str(tmp_path / "in.txt")])
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["id"] for row in rows] == ["line 1", "line 2", "line 3"]
    assert re.search(r"3 answers of the mean of 2 seeds, temperature [\d.]+, [\d.]+", shown.err)
    predict.run(tuned, MACHINE, ["tiny", str(tmp_path / "in.txt"), "raw=true"])
    raw = capsys.readouterr()
    assert "temperature" not in raw.err and json.loads(raw.out.splitlines()[0]) != rows[0]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["probability"] == max(row["probabilities"].values()) == row["probabilities"][row["label"]]
    table = pl.DataFrame({"id": ["a", "b", "c"], "text": TEXTS})
    table.write_csv(tmp_path / "in.csv")
    out = tmp_path / "out.parquet"
    predict.run(tuned, MACHINE, ["tiny", str(tmp_path / "in.csv"), f"out={out}"])
    frame = pl.read_parquet(out)
    assert frame["id"].to_list() == ["a", "b", "c"]
    assert frame["label"].to_list() == [row["label"] for row in rows]
    assert {"probabilities/alpha-sort", "probabilities/betanet", "probabilities/pip"} <= set(frame.columns)
    predict.run(
        tuned, MACHINE, ["tiny", str(tmp_path / "in.csv"), f"out={tmp_path / 'o.jsonl'}", "seeds=[2]"]
    )
    alone = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert len(alone) == 3 and alone[0]["probabilities"] != rows[0]["probabilities"]


def test_a_text_that_is_cut_says_so(tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "그물의 층을 만든다 " * 200
    (tmp_path / "in.txt").write_text(f"짧은 글\n{long}\n{long}끝\n", encoding="utf-8")
    predict.run(tuned, MACHINE, ["tiny", str(tmp_path / "in.txt")])
    shown = capsys.readouterr()
    short, first, second = (json.loads(line) for line in shown.out.splitlines())
    assert "cut" not in short and first["cut"] is True
    assert first["probabilities"] == second["probabilities"]
    assert "2 of them read the beginning alone" in shown.err and "line 2 is the first" in shown.err
    predict.run(tuned, MACHINE, ["tiny", str(tmp_path / "in.txt"), f"out={tmp_path / 'o.parquet'}"])
    assert pl.read_parquet(tmp_path / "o.parquet")["cut"].to_list() == [None, True, True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny"], "which run, which file"),
        (["other", "x.txt"], "other: no such fine-tuning run; known: tiny"),
        (["tiny", "x.pdf"], r"cannot read \.pdf"),
        (["tiny", "gone.txt"], "no such file"),
        (["tiny", "x.txt", "out=x.csv"], r"\.jsonl or \.parquet"),
        (["tiny", "x.jsonl", "out=./x.jsonl"], "out is the file of the texts"),
        (["tiny", "x.txt", "colour=1"], "unknown key"),
        (["tiny", "x.txt", "seeds=[9]"], "no seed 9"),
        (["tiny", "pairs.jsonl"], r"pairs\.jsonl holds pairs, this run answers texts; give it a column text"),
    ],
)
def test_faults(
    tuned: Path, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"text": "a", "pair": "b"}\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        predict.run(tuned, MACHINE, arguments)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "one\n\nthree\n", "line 2: a blank text"),
        ("a.txt", "", "no text in it"),
        ("a.csv", "id,sentence\n1,x\n", "no column text"),
        ("a.csv", "text\na,b\n", ":2: 2 fields under 1 columns"),
        ("a.csv", 'text\n"끝이 없는\n둘\n셋\n', ":4: unexpected end of data; write the file again"),
        ("a.csv", "text,text\na,b\n", ":1: 2 columns text; name one otherwise"),
        ("a.csv", f'text,choices\na,"{"[" * 100_000}"\n', ":2: choices is no JSON list"),
        ("a.jsonl", '{"text": "\\ud800"}\n', ":1: half a surrogate pair"),
        ("a.jsonl", '{"id": "\\udfff", "text": "a"}\n', ":1: half a surrogate pair"),
        ("a.jsonl", '{"text": "a", "n": ' + "9" * 5000 + "}\n", "a number of thousands of digits"),
        ("a.jsonl", '{"text": 3}\n', ":1: text must be a text"),
        ("a.jsonl", '{"text": "a"}\n{"text": "b", "pair": "c"}\n', "single texts and pairs"),
        ("a.jsonl", '{"text": "a"\n', "not JSON"),
    ],
)
def test_files_that_are_not_right(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        list(read_inputs(tmp_path / name))


def test_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tpair\n한국어\t"두\n줄"\n', encoding="utf-8")
    assert [(one.text, one.pair) for one in read_inputs(tmp_path / "a.tsv")] == [("한국어", "두\n줄")]
    (tmp_path / "a.csv").write_text(f"text\n{'글' * 100_000}\n\n끝\n\n", encoding="utf-8")
    assert [len(one.text) for one in read_inputs(tmp_path / "a.csv")] == [100_000, 1]
    (tmp_path / "b.jsonl").write_text('{"id": 5, "text": "a", "more": 1}\n\n', encoding="utf-8")
    assert [(one.id, one.text) for one in read_inputs(tmp_path / "b.jsonl")] == [("5", "a")]
    (tmp_path / "c.csv").write_text('text,choices\n글,"[""하나"", ""둘""]"\n', encoding="utf-8")
    [one] = read_inputs(tmp_path / "c.csv")
    assert (one.kind, one.parts) == ("choices", ("글", "하나", "둘"))
    (tmp_path / "c.csv").write_text("text,choices\n글,하나\n", encoding="utf-8")
    with pytest.raises(UserError, match=":2: choices is no JSON list"):
        list(read_inputs(tmp_path / "c.csv"))


def test_tfidf_and_pairs_answer_too(root: Path, track: Callable[[ModuleType], Any]) -> None:
    for changed, pairs in (
        ({"classifier": TFIDF, "seeds": [1]}, None),
        ({"task": PAIRS, "max_steps": 1}, TEXTS),
    ):
        from dataclasses import replace

        track(finetune)
        given, place = recipe(**changed), workspace(root, scratch="scratch-other")
        place = replace(place, out=root / "models/finetune/other", scratch=root / f"scratch-{pairs is None}")
        finetune.run(place, given)
        questions = [(text,) for text in TEXTS] if pairs is None else list(zip(TEXTS, pairs, strict=True))
        found = probabilities_of(Answers(given, place.out), questions)
        np.testing.assert_allclose(found.sum(1), 1)


SERVER = """
import sys
from pathlib import Path
from seedbed.config import Machine
from seedbed.stages import serve

class Answers:
    labels, seeds, asks, temperatures = ("가", "나"), (1, 2), "texts", {1: 1.5}
    def __call__(self, rows):
        return [{"label": "나", "probability": 0.75} for _ in rows]

serve.open_answers = lambda *_, raw: Answers()
serve.run(Path("."), Machine(threads=1), ["tiny", "port=0", f"host={sys.argv[1]}"])
"""


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"))],
)
def test_serve_answers_through_a_socket_and_ends_well_on_sigterm(host: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, host], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        shown = re.escape(f"[{host}]" if ":" in host else host)
        found = re.search(
            rf"http://{shown}:(\d+)/predict, 2 labels, 2 seeds, temperature 1.5",
            process.stdout.readline(),
        )
        assert found is not None
        connection = http.client.HTTPConnection(host, int(found[1]), timeout=20)
        connection.request("POST", "/predict", json.dumps({"texts": TEXTS}).encode())
        answer = json.loads(connection.getresponse().read())
        assert [one["label"] for one in answer["predictions"]] == ["나"] * 3
        connection.close()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0 and "serve tiny: stopped" in told
    finally:
        process.kill()
