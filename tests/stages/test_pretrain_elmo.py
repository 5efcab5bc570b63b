"""ELMo through the stages: words, pretraining on two languages, kill and resume, frozen features for a task."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from torch import Tensor

from seedbed.config import Interrupted, Machine, UserError
from seedbed.corpora import TestSplit
from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from seedbed.models import load_elmo, load_elmo_classifier
from seedbed.objectives import PretrainRecipe
from seedbed.recipes import Lock
from seedbed.stages import compose, finetune, pretrain, tokenize
from seedbed.tasks import predict_test
from seedbed.tokenization import Vocabulary, load_tokenizer, read_words, spell_all
from seedbed.workspace import Workspace, hash_folder
from tests.data.bilingual import KOREAN, write_tokens
from tests.tasks.corpus import write_corpus

REPOSITORY = Path(__file__).parents[2]
SHORT = {
    "elmo.max_length": 16,
    "max_steps": 80,
    "global_batch_size": 8,
    "log_every": 10,
    "validate_every": 20,
    "schedule.warmup_steps": 5,
}


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    for stage in (tokenize, finetune):
        track(stage)
    return track(pretrain)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    write_tokens(made / "data/tokens/declaration", words=True)
    write_corpus(made / "data/clean/tiny")
    return made


def workspace(root: Path, verb: str, run: str, **inputs: Path) -> Workspace:
    return Workspace(
        root=root,
        verb=verb,
        run=run,
        machine=Machine(threads=1, checkpoint_minutes=1000),
        out=root / "models" / verb / run,
        scratch=root / "scratch" / verb / run,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={name.replace("__", "/"): path for name, path in inputs.items()},
    )


def pretraining(root: Path, run: str) -> Workspace:
    return workspace(root, "pretrain", run, tokenize__declaration=root / "data/tokens/declaration")


def recipe(name: str = "elmo_tiny", **changes: object) -> PretrainRecipe:
    """The recipe of conf/pretrain, composed as a run of params.yaml would be."""
    tree = compose.compose_run(REPOSITORY, "pretrain", name, {"tokens": "declaration"}, changes)
    return PretrainRecipe.parse(tree, f"pretrain.{name}")


def test_the_tiny_recipe_learns_english_and_korean(root: Path, tracked: Any) -> None:
    place, given = pretraining(root, "elmo_tiny"), recipe(**SHORT)
    assert pretrain.inputs(given) == [("tokenize", "declaration")]
    pretrain.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    curves = np.genfromtxt(place.out / "curves.csv", delimiter=",", dtype=None, encoding="utf-8", names=True)
    losses = [float(row["value"]) for row in curves if row["metric"] == "valid/loss"]
    store = TokenStore.open(root / "data/tokens/declaration", "valid")
    size = Vocabulary.load(root / "data/tokens/declaration/tokenizer").size
    counts = np.bincount(store.read(0, store.num_tokens))
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert losses[0] == pytest.approx(np.log(size), rel=0.1)
    assert losses[-1] < entropy, "more than how often each word comes is learnt"
    for direction in ("forward", "backward"):
        assert metrics[f"valid/{direction}_loss"] < entropy, direction
    assert metrics["valid/perplexity"] == pytest.approx(np.exp(metrics["valid/loss"]))
    assert metrics["valid/accuracy"] > 1.5 * shares.max() and metrics["valid/unknown"] == 0

    # the folder gives a vector of its own to a word that no text had
    elmo, tokenizer = load_elmo(place.out).eval(), load_tokenizer(place.out)
    [known, unknown] = read_words(tokenizer, [KOREAN[2], KOREAN[2].replace("생명", "뷁뷁")], max_length=99)
    max_characters = elmo.config.characters.max_characters
    layers = [
        elmo(
            torch.from_numpy(spell_all(words, max_characters=max_characters))[None],
            torch.tensor([len(words)]),
        )
        for words in (known, unknown)
    ]
    assert layers[0].shape == (3, 1, len(known), 192) and layers[0].isfinite().all()
    assert not torch.equal(layers[0], layers[1])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    name: str, tmp_path: Path, root: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = {"softmax": {"name": "sampled_softmax", "num_samples": 40}, "elmo.dropout": 0.1}
    given = recipe(**(SHORT | {"max_steps": 10, "validate_every": 5}))
    given = PretrainRecipe.parse(
        given.model_dump(mode="json")
        | {"objective": {"name": "bidirectional_lm", "num_words": 90, "softmax": sampled["softmax"]}},
        "pretrain",
    )
    place = pretraining(root, "whole")
    pretrain.run(place, given)
    stopped = replace(place, scratch=tmp_path / "stopped", out=tmp_path / "out")
    original, served = PackedRows.batch, []

    def deadly(self: PackedRows, first: int, count: int) -> dict[str, Tensor]:
        served.append(first // 8)
        if first == 6 * 8 and served.count(6) == 1:
            os.kill(os.getpid(), getattr(signal, name))
        return original(self, first, count)

    monkeypatch.setattr(PackedRows, "batch", deadly)
    with pytest.raises(Interrupted, match="state saved"):
        pretrain.run(stopped, given)
    assert not stopped.out.exists(), "nothing half-written"
    pretrain.run(stopped, given)
    assert served[-2] == 9, "goes on to its end; the last is of the model card"
    assert hash_folder(stopped.out) == hash_folder(place.out)
    assert json.loads((place.out / "metrics.json").read_text())["valid/unknown"] > 0


def test_words_come_from_the_tokenize_stage_and_features_go_to_finetune(
    tmp_path: Path, root: Path, tracked: Any
) -> None:
    """tokenize, pretrain, finetune and the predictions on the test split, by recipes as params.yaml names them."""
    params = {
        "fetch": {"docstrings": {}},
        "preprocess": {"tiny": {"recipe": "docstrings", "source": "docstrings"}},
        "tokenize": {"words": {"recipe": "docstrings-words64k", "corpus": "tiny"}},
        "pretrain": {"elmo_tiny": {"tokens": "words"}},
        "finetune": {
            "elmo_tiny-topics": {"recipe": "topics_elmo", "backbone": "elmo_tiny", "corpus": "tiny"}
        },
        "forecast": {},
        "evaluate": "default",
        "tune": {},
        "set": {
            "pretrain": {"elmo_tiny": SHORT | {"max_steps": 30, "validate_every": 0}},
            "finetune": {
                "elmo_tiny-topics": {
                    "seeds": [1],
                    "max_steps": 60,
                    "schedule.warmup_steps": 5,
                    "precision": "fp32",
                    "max_length": 24,
                    "optimizer.learning_rate": 1e-2,
                    "classifier.reader.hidden_size": 16,
                    "classifier.dropout": 0.1,
                    "task.num_labels": 3,
                    "task.num_train": 60,
                    "task.num_valid": 30,
                    "task.num_test": 30,
                }
            },
        },
    }
    (tmp_path / "conf").symlink_to(REPOSITORY / "conf")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    lock = Lock.check(compose.compose_all(tmp_path), "params.yaml")
    corpus = root / "data/clean/tiny"
    counts = {
        split: len((corpus / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "valid")
    }
    sizes = {split: (corpus / f"{split}.jsonl").stat().st_size for split in ("train", "valid")}
    (corpus / "manifest.json").write_text(json.dumps({"documents": counts, "characters": sizes}))

    place = workspace(tmp_path, "tokenize", "words", preprocess__tiny=corpus)
    tokenize.run(place, lock.tokenize["words"])
    trained = workspace(tmp_path, "pretrain", "elmo_tiny", tokenize__words=place.out)
    pretrain.run(trained, lock.pretrain["elmo_tiny"])
    given = lock.finetune["elmo_tiny-topics"]
    tuned = workspace(
        tmp_path, "finetune", "elmo_tiny-topics", pretrain__elmo_tiny=trained.out, preprocess__tiny=corpus
    )
    finetune.run(tuned, given)
    metrics = json.loads((tuned.out / "metrics.json").read_text())
    assert metrics["valid/accuracy"] > 0.6, "one in three by chance"
    before, after = load_elmo(trained.out), load_elmo_classifier(tuned.out / "seed-1")
    for name, value in before.state_dict().items():
        assert torch.equal(after.elmo.state_dict()[name], value), "features are frozen"
    assert after.mix.weights.abs().sum() > 0 and after.mix.scale != 1, "the mix is not"
    frame = predict_test(given, tuned.out, corpus, TestSplit(opened_by="test"), threads=1)
    assert frame.height == 30
    assert (frame["label"] == frame["predicted"]).mean() > 0.6
    np.testing.assert_allclose(frame.select(pl.sum_horizontal("^probability_.*$")).to_numpy(), 1, atol=1e-12)

    wrong = params["finetune"] | {"bad": {"recipe": "topics", "backbone": "elmo_tiny", "corpus": "tiny"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"finetune": wrong}))
    with pytest.raises(
        UserError,
        match=r"finetune\.bad\.backbone: elmo_tiny is an elmo, classifier encoder takes an encoder; choose one of none",
    ):
        Lock.check(compose.compose_all(tmp_path), "params.yaml")


@pytest.mark.parametrize("name", ["elmo", "elmo_tiny"])
def test_every_elmo_has_its_recipe(name: str) -> None:
    elmo = recipe(name).elmo
    assert elmo is not None
    written = yaml.safe_load((REPOSITORY / "conf" / "elmo" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert elmo.model_dump(mode="json") == written


def test_the_published_recipe_reads_as_many_words_as_was_published() -> None:
    """10 epochs of 768,648,884 words in steps of 3 x 128 x 20, each epoch rounded down to whole steps."""
    given = recipe("elmo")
    words = given.global_batch_size * given.network.max_length
    assert words == 3 * 128 * 20
    assert given.max_steps == 10 * (768_648_884 // words)
    assert (given.objective.softmax.name, given.optimizer.name) == ("sampled_softmax", "adagrad")


def test_the_published_updates_are_those_of_20_times_the_loss() -> None:
    """Adagrad from 1 on the gradient of 20 times the loss, clipped at 10, against the recipe's numbers."""
    given = recipe("elmo").model_dump(mode="json")
    gradients = torch.randn((5, 30), generator=torch.Generator().manual_seed(0))
    moved = []
    for factor, first, most in (
        (20.0, 1.0, 10.0),
        (1.0, given["optimizer"]["initial_accumulator"], given["gradient_clip"]),
    ):
        weight = torch.nn.Parameter(torch.zeros(30))
        optimizer = torch.optim.Adagrad([weight], lr=0.2, initial_accumulator_value=first)
        for gradient in gradients:
            weight.grad = factor * gradient
            torch.nn.utils.clip_grad_norm_([weight], most)
            optimizer.step()
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1])


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("elmo_tiny", {"objective": "causal_lm"}, "objective causal_lm trains one decoder, given are elmo"),
        ("gpt2_tiny", {"objective": "bidirectional_lm"}, "trains one elmo, given are decoder"),
        ("elmo_tiny", {"rows": "full_sentences"}, "rows full_sentences have no labels"),
    ],
)
def test_a_network_of_the_wrong_kind_is_told(name: str, changes: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        recipe(name, **changes)
