"""The pretrain stage on a little real text, Korean and English: what is learned, resuming, what it leaves."""

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from seedbed.config import Interrupted, Machine, UserError
from seedbed.data.packing import PackedRows
from seedbed.models import load_pooler
from seedbed.objectives import PretrainRecipe
from seedbed.stages import pretrain
from seedbed.stages.compose import compose_run
from seedbed.tasks.encoder_classifier import EncoderClassifierConfig
from seedbed.workspace import Workspace, hash_folder
from tests.stages.tokens import write_tokens

REPOSITORY = Path(__file__).parents[2]
STEPS, BATCH = 30, 16
SMALL: dict[str, Any] = {
    "max_steps": STEPS,
    "global_batch_size": BATCH,
    "precision": "fp32",
    "log_every": 10,
    "validate_every": 15,
    "encoder": {"max_length": 40, "hidden_size": 64, "intermediate_size": 128},
    "optimizer": {"learning_rate": 4e-3},
    "schedule": {"warmup_steps": 4},
}
LENGTHS = [{"tokens": 20, "share": 0.3}, {"tokens": 40, "share": 0.7}]
# name of the test -> recipe, settings, tokens, metric that must fall
RUNS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "bert": ("bert_tiny", {"objective": {"masking": {"unit": "whole_words"}}}, "wordpiece", "masked_lm_loss"),
    "roberta": ("roberta_tiny", {"rows": "doc_sentences"}, "byte_level_bpe", "loss"),
    "lengths": ("roberta_tiny", {"rows": "doc_sentences", "row_lengths": LENGTHS}, "byte_level_bpe", "loss"),
    "electra": ("electra_tiny", {"rows": "two_segments"}, "wordpiece", "generator_loss"),
}


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    return track(pretrain)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokens")
    for kind in ("wordpiece", "byte_level_bpe"):
        write_tokens(root / kind, kind=kind)
    return root


def recipe(name: str, settings: dict[str, Any]) -> PretrainRecipe:
    values = compose_run(REPOSITORY, "pretrain", name, {"tokens": "tiny"}, {**SMALL, **settings})
    return PretrainRecipe.parse(values, where=f"pretrain.{name}")


def workspace(root: Path, tokens: Path, *, out: str = "out") -> Workspace:
    return Workspace(
        root=root,
        verb="pretrain",
        run="tiny",
        machine=Machine(threads=1, checkpoint_minutes=1000, tokens_per_device=BATCH // 2 * 40),
        out=root / out,
        scratch=root / f"scratch-{out}",
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={"tokenize/tiny": tokens},
    )


def curve(folder: Path, metric: str) -> list[float]:
    with (folder / "curves.csv").open(newline="") as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["metric"] == metric]


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM when the rows of a step are asked for, once."""
    original = PackedRows.batch

    def deadly(self: PackedRows, first: int, count: int) -> dict[str, Tensor]:
        if first == step * BATCH:
            monkeypatch.setattr(PackedRows, "batch", original)
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, first, count)

    monkeypatch.setattr(PackedRows, "batch", deadly)


@pytest.mark.parametrize("run", RUNS)
def test_the_loss_falls_and_a_killed_run_ends_in_the_same_bytes(
    run: str, made: Path, tmp_path: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, settings, tokens, metric = RUNS[run]
    given = recipe(name, settings)
    place = workspace(tmp_path, made / tokens)
    assert pretrain.inputs(given) == [("tokenize", "tiny")]
    pretrain.run(place, given)
    losses = curve(place.out, f"valid/{metric}")
    assert len(losses) == 3 and losses[-1] < losses[0] - 0.8
    assert 0 < tracked.metrics["tokens/padding_share"] < 0.4 and tracked.metrics["tokens/left_out"] == 0
    stopped = replace(place, out=tmp_path / "stopped", scratch=tmp_path / "scratch-stopped")
    kill_at(11, monkeypatch)
    with pytest.raises(Interrupted, match=r"stopped after step \d+, state saved"):
        pretrain.run(stopped, given)
    assert not stopped.out.exists(), "nothing half-written"
    pretrain.run(stopped, given)
    assert hash_folder(stopped.out) == hash_folder(place.out)
    ids = transformers.AutoTokenizer.from_pretrained(place.out)(
        "배추를 소금에 절였다. 😀", return_tensors="pt"
    )
    model = transformers.AutoModel.from_pretrained(place.out)
    told = (place.out / "README.md").read_text(encoding="utf-8")
    architecture = json.loads((place.out / "config.json").read_text())["architectures"][0]
    assert f'{architecture}.from_pretrained("models/pretrain/tiny")' in told
    assert (
        f"| steps | {STEPS} |" in told and "| FLOP of all steps |" in told and f"| valid/{metric} |" in told
    )
    assert model(**ids).last_hidden_state.isfinite().all()


def test_the_pooler_goes_on_only_where_it_was_trained(made: Path, tmp_path: Path, tracked: Any) -> None:
    """BERT with next-sentence prediction hands its pooler to the classifier; without, nobody pretends."""
    short = {"max_steps": 1, "validate_every": 0}
    plain = {"objective": "masked_lm", "rows": "doc_sentences", "masks": "dynamic"}
    places = {}
    for name, settings in (("with", short), ("without", {**short, **plain})):
        places[name] = workspace(tmp_path, made / "wordpiece", out=name)
        pretrain.run(places[name], recipe("bert_tiny", settings))
    _, info = transformers.AutoModel.from_pretrained(places["with"].out, output_loading_info=True)
    assert not info["missing_keys"]
    _, info = transformers.AutoModel.from_pretrained(places["without"].out, output_loading_info=True)
    assert set(info["missing_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
    pooler = load_pooler(places["with"].out)
    assert pooler is not None and load_pooler(places["without"].out) is None
    rates = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}

    def head(name: str, seed: int, weights: str = "pretrained") -> Tensor:
        config = EncoderClassifierConfig.parse({"name": "encoder", "weights": weights, **rates}, where="c")
        network = config.network(places[name].out, "sequence", num_outputs=2, seed=seed)
        return network.get_parameter("head.dense.weight")

    assert torch.equal(head("with", 1), pooler.weight) and torch.equal(head("with", 2), pooler.weight)
    assert not torch.equal(head("without", 1), head("without", 2))
    assert torch.equal(head("without", 1), head("without", 1))
    assert not torch.equal(head("with", 1, "random"), pooler.weight)


@pytest.mark.slow
def test_the_next_sentence_is_learned(made: Path, tmp_path: Path, tracked: Any) -> None:
    """On documents it has not seen, whether B is of A's document: 0.95 where chance gives 0.55."""
    settings = {
        "max_steps": 400, "global_batch_size": 32, "validate_every": 0,
        "encoder": {"max_length": 48, "hidden_size": 128, "intermediate_size": 512},
        "optimizer": {"learning_rate": 1.5e-3}, "schedule": {"warmup_steps": 10},
    }  # fmt: skip
    place = workspace(tmp_path, made / "wordpiece")
    pretrain.run(place, recipe("bert_tiny", settings))
    assert curve(place.out, "valid/next_sentence_accuracy")[-1] > 0.85


def test_rows_must_give_what_the_objective_needs() -> None:
    with pytest.raises(UserError, match="have no next_sentence_labels, which objective next_sentence needs"):
        recipe("bert_tiny", {"rows": "full_sentences"})
    with pytest.raises(
        UserError, match=r"rows two_segments have two token types, encoder\.num_token_types is 1"
    ):
        recipe("roberta_tiny", {"rows": "two_segments"})


def test_a_run_goes_on_from_another(made: Path, tmp_path: Path, tracked: Any) -> None:
    """The second run's first validation is the first run's last, and its recipe needs no sizes."""
    first = workspace(tmp_path, made / "wordpiece", out="first")
    settings = {"max_steps": 2, "validate_every": 1}
    pretrain.run(first, recipe("electra_tiny", settings))
    start = {"checkpoint": str(first.out), "digest": hash_folder(first.out)}
    given = recipe("electra_tiny", {**settings, "encoder": None, "start": start, "seed": 1})
    assert pretrain.inputs(given) == [("tokenize", "tiny"), ("pretrain", str(first.out))]
    place = workspace(tmp_path, made / "wordpiece", out="second")
    place = replace(place, inputs={**place.inputs, f"pretrain/{first.out}": first.out})
    pretrain.run(place, given)
    for metric in ("valid/discriminator_loss", "valid/generator_loss"):
        assert curve(place.out, metric)[0] == curve(first.out, metric)[-1]
    with pytest.raises(UserError, match=r"tokenizer of .* nor extends it; make tokens with tokenizer"):
        pretrain.run(replace(place, inputs={**place.inputs, "tokenize/tiny": made / "byte_level_bpe"}), given)
    # the generator is a masked LM, and one can go on from it alone
    alone = str(first.out / "generator")
    vocab = transformers.AutoTokenizer.from_pretrained(first.out).vocab
    given = recipe("mlm_tiny", {**settings, "encoder": None, "start": {"checkpoint": alone}})
    pretrain.run(replace(place, out=tmp_path / "third", scratch=tmp_path / "scratch-third",
                         inputs={**place.inputs, f"pretrain/{alone}": Path(alone)}), given)  # fmt: skip
    assert transformers.AutoTokenizer.from_pretrained(alone).vocab == vocab
