"""The finetune stage on a tiny corpus: what it writes, repeating and resuming to the bit, no test split."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from seedbed.config import Interrupted, Machine, UserError
from seedbed.corpora import TestSplit
from seedbed.models import load_encoder, load_sequence_classifier
from seedbed.process import Stopped, stopping
from seedbed.stages import finetune
from seedbed.tasks import FinetuneRecipe, label_names, predict_test
from seedbed.tasks.examples import training_examples
from seedbed.tasks.prediction import answers, read_facts
from seedbed.tokenization import copy_tokenizer, load_tokenizer
from seedbed.workspace import Workspace, artifact, hash_folder, identify
from tests.tasks.corpus import write_backbone, write_corpus

KEY = TestSplit(opened_by="test")


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    return track(finetune)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_corpus(root / "data/clean/tiny")
    for family in ("electra", "roberta"):
        write_backbone(root / "models/pretrain" / family, family=family)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A root that shares the inputs."""
    for name in ("data", "models"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def workspace(root: Path, backbone: str = "electra", *, scratch: str = "scratch") -> Workspace:
    return Workspace(
        root=root,
        verb="finetune",
        run="tiny",
        machine=Machine(threads=1, checkpoint_minutes=1000),
        out=root / "models/finetune/tiny",
        scratch=root / scratch,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={
            "preprocess/tiny": root / "data/clean/tiny",
            f"pretrain/{backbone}": root / "models/pretrain" / backbone,
        },
    )


def recipe(**changed: Any) -> FinetuneRecipe:
    sizes = {"num_train": 30, "num_valid": 30, "num_test": 30}
    rates = {"dropout": 0.1, "attention_dropout": 0.1, "classifier_dropout": 0.1}
    values = {
        "backbone": "electra",
        "corpus": "tiny",
        "task": {"name": "topics", "num_labels": 3, **sizes},
        "classifier": {"name": "encoder", "weights": "pretrained", **rates},
        "seeds": [1, 2],
        "max_length": 32,
        "max_steps": 8,
        "global_batch_size": 6,
        "precision": "fp32",
        "optimizer": {"name": "adamw", "learning_rate": 3e-3},
        "schedule": {"name": "linear", "warmup_steps": 2},
        "log_every": 4,
        **changed,
    }
    return FinetuneRecipe.parse(values, where="finetune.tiny")


PAIRS = {"name": "pairs", "num_train": 30, "num_valid": 30, "num_test": 30}
TFIDF = {"name": "tfidf", "max_ngram": 2, "regularisation": 10.0}


def test_writes_models_predictions_metrics_and_curves(root: Path, tracked: Any) -> None:
    (root / "data/clean/tiny/test.jsonl").rename(root / "test.jsonl")  # proof that it stays shut
    place, given = workspace(root), recipe()
    assert finetune.inputs(given) == [("pretrain", "electra"), ("preprocess", "tiny")]
    finetune.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    frame = pl.read_parquet(place.out / "predictions.parquet")
    assert frame.columns == ["seed", "id", "label", "predicted", *(f"probability_{c}" for c in range(3))]
    assert label_names(place.out) == ("alpha-sort", "betanet", "pip")
    for seed in (1, 2):
        part = frame.filter(pl.col("seed") == seed)
        assert part.height == 30
        accuracy = (part["label"] == part["predicted"]).mean()
        assert (
            metrics[f"seed-{seed}/valid/accuracy"]
            == accuracy
            == tracked.runs[f"seed-{seed}"]["valid/accuracy"]
        )
        np.testing.assert_allclose(
            part.select(pl.sum_horizontal("^probability_.*$")).to_numpy(), 1, atol=1e-12
        )
    assert metrics["valid/accuracy"] == pytest.approx(
        np.mean([metrics[f"seed-{s}/valid/accuracy"] for s in (1, 2)])
    )
    assert tracked.runs[""]["valid/accuracy"] == metrics["valid/accuracy"]
    spread = np.std([metrics[f"seed-{s}/valid/accuracy"] for s in (1, 2)], ddof=1)
    assert tracked.runs[""]["std/valid/accuracy"] == metrics["std/valid/accuracy"] == spread
    with (place.out / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["part"] for row in rows} == {"seed-1", "seed-2"}
    told = (place.out / "README.md").read_text(encoding="utf-8")
    assert "| labels | alpha-sort, betanet, pip |" in told and "| examples, valid | 30 |" in told
    assert {row["metric"] for row in rows} >= {"train/loss", "valid/loss", "valid/accuracy", "valid/macro_f1"}
    _check_test_predictions(root, place.out, given)


def test_layers_learn_at_their_own_rates(root: Path, tracked: Any) -> None:
    """One step of plain gradient descent with and without decay: the moves differ by the layer's share."""
    before = load_encoder(root / "models/pretrain/electra").encoder
    moves: list[dict[str, torch.Tensor]] = []
    for decay in (None, {"rate": 0.5}):
        place = workspace(root, scratch=f"scratch-{decay is None}")
        optimizer = {"name": "sgd", "learning_rate": 10.0, "layer_decay": decay}
        schedule = {"name": "constant"}
        finetune.run(place, recipe(seeds=[1], max_steps=1, optimizer=optimizer, schedule=schedule))
        after = load_sequence_classifier(place.out / "seed-1").encoder
        moves.append({name: after.get_parameter(name) - p for name, p in before.named_parameters()})
    top = len(before.blocks) + 1
    for name, depth in (
        ("embeddings.token", 0),
        ("blocks.0.attention_out", 1),
        (f"blocks.{top - 2}.feed_forward_in", top - 1),
    ):
        plain, decayed = (move[f"{name}.weight"] for move in moves)
        assert plain.norm() > 0
        torch.testing.assert_close(decayed, plain * 0.5 ** (top - depth), rtol=1e-2, atol=1e-6)


def _check_test_predictions(root: Path, out: Path, given: FinetuneRecipe) -> None:
    from transformers import AutoModelForSequenceClassification

    (root / "test.jsonl").rename(root / "data/clean/tiny/test.jsonl")
    frame = predict_test(given, out, root / "data/clean/tiny", KEY, threads=1)
    assert frame.height == 60
    valid = pl.read_parquet(out / "predictions.parquet")
    assert not set(frame["id"]) & set(valid["id"])
    theirs = AutoModelForSequenceClassification.from_pretrained(out / "seed-2").eval()
    assert [theirs.config.id2label[c] for c in range(3)] == list(label_names(out))
    ours = load_sequence_classifier(out / "seed-2").eval()
    ids = torch.arange(20)[None] + 5
    with torch.no_grad():
        assert torch.allclose(theirs(input_ids=ids).logits, ours(ids), atol=1e-5, rtol=0)
    # the weights on disk are those that made the valid predictions
    examples = training_examples(given.task, root / "data/clean/tiny")[2]
    again = probabilities(given, out, 2, examples)
    of_seed = valid.filter(pl.col("seed") == 2)
    assert [e.id for e in examples] == of_seed["id"].to_list()
    np.testing.assert_array_equal(again, of_seed.select("^probability_.*$").to_numpy())


def probabilities(given: FinetuneRecipe, out: Path, seed: int, examples: Sequence[Any]) -> Any:
    frame = answers(given, seed, out / f"seed-{seed}", examples, read_facts(out))
    return frame.select("^probability_.*$").to_numpy()


def test_same_recipe_same_bytes_and_no_module_on_two_sides(root: Path, tracked: Any) -> None:
    place = workspace(root)
    finetune.run(place, recipe())
    first = hash_folder(place.out)
    finetune.run(replace(place, scratch=root / "again"), recipe())
    assert hash_folder(place.out) == first
    seeds = [(place.out / f"seed-{seed}/model.safetensors").read_bytes() for seed in (1, 2)]
    assert seeds[0] != seeds[1]
    _, train, valid = training_examples(recipe().task, root / "data/clean/tiny")
    modules = [{example.id.split(":")[1] for example in part} for part in (train, valid)]
    assert not modules[0] & modules[1]


ANEW = {"name": "top_layers", "count": 1}
BEST = {"name": "best", "metric": "valid/loss", "mode": "max"}
TRAININGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "few_examples": {
        "classifier": {"reinitialise": ANEW, "mixout": {"name": "mixout", "probability": 0.5}},
        "unfreezing": {"name": "head_first", "head_steps": 4},
    },
    "adapter": {
        "classifier": {"adapter": {"name": "lora", "rank": 2, "alpha": 4.0, "dropout": 0.1}},
        "selection": BEST,
    },
}
"""The ways of fine-tuning that must survive a kill; `classifier` is what is changed of the encoder's."""


@pytest.mark.parametrize("changed", TRAININGS.values(), ids=list(TRAININGS))
def test_a_killed_seed_goes_on_to_the_same_bytes(
    root: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    classifier = {"name": "encoder", "weights": "pretrained", **changed.get("classifier", {})}
    place = workspace(root)
    given = recipe(validate_every=3, **{**changed, "classifier": classifier})
    finetune.run(place, given)
    whole = hash_folder(place.out)
    stopped = replace(place, scratch=root / "stopped", out=root / "models/finetune/stopped")

    class Killed(Exception):
        pass

    def kill(step: int, metrics: dict[str, float]) -> None:
        calls.append(step)
        if calls.count(6) == 2 and step == 6:  # of seed 2
            os.kill(os.getpid(), signal.SIGTERM)

    calls: list[int] = []
    with pytest.raises(Interrupted, match=r"seed 2: stopped after step 6, state saved"):
        finetune.run(stopped, given, on_valid=kill)
    before = list(calls)
    assert not stopped.out.exists(), "nothing half-written"
    finetune.run(stopped, given, on_valid=kill)
    assert calls == [*before, 8], "seed 1 is not trained again, seed 2 only to its end"
    assert hash_folder(stopped.out) == whole
    # an ordinary folder, whose weights are those that made the valid predictions
    examples = training_examples(given.task, root / "data/clean/tiny")[2]
    stored = pl.read_parquet(place.out / "predictions.parquet").filter(pl.col("seed") == 2)
    again = probabilities(given, place.out, 2, examples)
    np.testing.assert_array_equal(again, stored.select("^probability_.*$").to_numpy())
    names = {name for name, _ in load_sequence_classifier(place.out / "seed-2").named_parameters()}
    assert not any(name.endswith((".down", ".up")) for name in names)


def test_a_stop_between_two_trainings_leaves_nothing_half(
    root: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's own handler is gone when a seed has trained; the program's must stand there again."""
    place, given = workspace(root), recipe()
    predict = finetune.predict
    with monkeypatch.context() as patch, pytest.raises(Stopped), stopping(signal.SIGTERM):
        patch.setattr(finetune, "predict", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        finetune.run(place, given)
    assert sorted(path.name for path in (root / "models").iterdir()) == ["pretrain"]
    finetune.run(place, given)
    assert finetune.predict is predict and (place.out / "metrics.json").is_file()


def test_seeds_of_head_and_order_are_apart(root: Path, tracked: Any) -> None:
    """With a rate of 1e-12 the head stays what it was drawn as: the head's seed alone decides it."""
    given = recipe(
        seeds=[1, 2, 3, 4],
        separate_seeds={"name": "grid", "head": [1, 5], "order": [1, 2]},
        optimizer={"name": "adamw", "learning_rate": 1e-12},
        max_steps=4,
        log_every=1,
    )
    place = workspace(root)
    finetune.run(place, given)
    heads = [load_sequence_classifier(place.out / f"seed-{n}").head.out.weight for n in (1, 2, 3, 4)]
    for (first, second), same in {(0, 1): True, (2, 3): True, (0, 2): False}.items():
        assert torch.allclose(heads[first], heads[second], rtol=0, atol=1e-9) is same
    with (place.out / "curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "train/loss"]
    losses = [[row["value"] for row in rows if row["part"] == f"seed-{n}"] for n in (1, 2, 3, 4)]
    assert losses[0] != losses[1] and losses[0] != losses[2], "other orders, other heads"
    assert tracked.params["seed-3"] == {"head_seed": 5, "order_seed": 1}
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert {"std/valid/loss", "std-head/valid/loss", "std-order/valid/loss"} <= set(metrics)
    # (1, 1) is what seed 1 is without any of it
    alone = replace(place, scratch=root / "alone", out=root / "models/finetune/alone")
    finetune.run(alone, given.model_copy(update={"seeds": (1,), "separate_seeds": None}))
    assert hash_folder(alone.out / "seed-1") == hash_folder(place.out / "seed-1")


@pytest.mark.parametrize("family", ["electra", "roberta"])
def test_pairs_and_scratch_and_bf16(root: Path, tracked: Any, family: str) -> None:
    given = recipe(
        backbone=family,
        task=PAIRS,
        seeds=[3],
        precision="bf16",
        classifier={"name": "encoder", "weights": "random"},
    )
    place = workspace(root, family)
    finetune.run(place, given)
    frame = pl.read_parquet(place.out / "predictions.parquet")
    assert frame.height == 30
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert metrics["valid/accuracy"] == (frame["label"] == frame["predicted"]).mean()
    assert predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1).height == 30


def test_tfidf_needs_the_tokenizer_alone(root: Path, tracked: Any) -> None:
    (root / "models/pretrain/electra/model.safetensors").unlink()
    given, place = recipe(classifier=TFIDF, seeds=[1]), workspace(root)
    finetune.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert metrics["valid/accuracy"] > 0.9, "the words of each package differ"
    test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
    assert (test["label"] == test["predicted"]).mean() > 0.9
    examples = training_examples(given.task, root / "data/clean/tiny")[2]
    stored = pl.read_parquet(place.out / "predictions.parquet").select("^probability_.*$").to_numpy()
    np.testing.assert_array_equal(probabilities(given, place.out, 1, examples), stored)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"max_length": 65}, "max_length 65, but backbone electra has 64 positions"),
        (
            {"task": {"name": "topics", "num_labels": 4, "num_train": 8, "num_valid": 8, "num_test": 8}},
            "4 packages asked for",
        ),
        ({"task": {**PAIRS, "min_characters": 5000}}, "the train split gives task pairs no example"),
    ],
)
def test_faults_are_told_before_training(
    root: Path, tracked: Any, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        finetune.run(workspace(root), recipe(**changed))
    assert not (root / "models/finetune/tiny").exists()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seeds": [1, 1]}, "seeds must be different"),
        ({"seeds": []}, "seeds"),
        ({"separate_seeds": {"name": "grid", "head": [1], "order": [1]}}, r"1 trainings.*give seeds \[1\]"),
        ({"classifier": TFIDF}, "give one seed"),
        ({"classifier": {"name": "encoder", "weights": "warm"}}, "weights"),
        ({"task": {"name": "colours"}}, "task"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        recipe(**changed)


def test_the_test_split_needs_its_key(root: Path, tracked: Any) -> None:
    given, place = recipe(classifier=TFIDF, seeds=[1]), workspace(root)
    finetune.run(place, given)
    with pytest.raises(UserError, match="test split is opened by"):
        predict_test(given, place.out, root / "data/clean/tiny", None, threads=1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"task\.json: no such file"):
        label_names(root)


def test_a_folder_of_transformers_is_fine_tuned_where_it_lies(root: Path, tracked: Any) -> None:
    """Its path from models/pretrain stands where a run's name does: DVC joins the same two."""
    import transformers

    folder = root / "checkpoints/theirs"
    tokenizer = root / "models/pretrain/electra"
    config = transformers.ElectraConfig(
        vocab_size=200, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        embedding_size=16, max_position_embeddings=32,
    )  # fmt: skip
    config.vocab_size = len(load_tokenizer(tokenizer).get_vocab())
    transformers.ElectraForPreTraining(config).save_pretrained(folder)
    copy_tokenizer(tokenizer, folder)
    given = recipe(backbone="../../checkpoints/theirs", seeds=[1], max_steps=2)
    assert artifact(root, *finetune.inputs(given)[0]) == folder
    assert artifact(root, "pretrain", str(folder)) == folder
    place = workspace(root)
    place = replace(place, inputs={**place.inputs, f"pretrain/{given.backbone}": folder})
    finetune.run(place, given)
    assert load_sequence_classifier(place.out / "seed-1").encoder.config.hidden_size == 16
    with pytest.raises(UserError, match=r"finetune tiny: .*nowhere is missing; give the path"):
        identify(root, place.machine, "finetune", "tiny", {}, {"pretrain/x": root / "nowhere"})
