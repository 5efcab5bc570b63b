"""The pretrain stage on decoders: real text in two languages, folders for transformers, kill and resume."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from torch import Tensor

from seedbed.config import Interrupted, Machine, UserError
from seedbed.data.packing import PackedRows
from seedbed.data.shards import TokenStore
from seedbed.models import load_decoder
from seedbed.objectives import PretrainRecipe
from seedbed.stages import compose, pretrain
from seedbed.workspace import Workspace, hash_folder
from tests.data.bilingual import KOREAN, write_tokens

REPOSITORY = Path(__file__).parents[2]
DECODERS = sorted(path.stem for path in (REPOSITORY / "conf" / "decoder").glob("*.yaml"))
TINY = [name for name in DECODERS if name.endswith("_tiny")]
SHORT = {
    "decoder.max_length": 32,
    "max_steps": 70,
    "global_batch_size": 8,
    "log_every": 10,
    "validate_every": 20,
    "schedule.warmup_steps": 5,
    "precision": "fp32",
}


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    return track(pretrain)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    write_tokens(made / "data/tokens/declaration")
    return made


def workspace(root: Path, name: str) -> Workspace:
    return Workspace(
        root=root,
        verb="pretrain",
        run=name,
        machine=Machine(threads=1, checkpoint_minutes=1000),
        out=root / "models/pretrain" / name,
        scratch=root / "scratch" / name,
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={"tokenize/declaration": root / "data/tokens/declaration"},
    )


def recipe(name: str, **changes: object) -> PretrainRecipe:
    """The recipe of conf/pretrain, composed as a run of params.yaml would be."""
    tree = compose.compose_run(REPOSITORY, "pretrain", name, {"tokens": "declaration"}, changes)
    return PretrainRecipe.parse(tree, f"pretrain.{name}")


@pytest.mark.parametrize("name", TINY)
def test_every_tiny_recipe_learns_english_and_korean(name: str, root: Path, tracked: Any) -> None:
    place, given = workspace(root, name), recipe(name, **SHORT)
    assert pretrain.inputs(given) == [("tokenize", "declaration")]
    pretrain.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    curves = np.genfromtxt(place.out / "curves.csv", delimiter=",", dtype=None, encoding="utf-8", names=True)
    losses = [float(row["value"]) for row in curves if row["metric"] == "valid/loss"]
    assert losses[0] == pytest.approx(np.log(500), rel=0.2)
    store = TokenStore.open(root / "data/tokens/declaration", "valid")
    counts = np.bincount(store.read(0, store.num_tokens))
    shares = counts[counts > 0] / counts.sum()
    assert losses[-1] < -(shares * np.log(shares)).sum(), "more than how often each token comes is learnt"
    assert metrics["valid/perplexity"] == pytest.approx(np.exp(metrics["valid/loss"]))
    assert metrics["valid/accuracy"] > 1.5 * shares.max()

    tokenizer = transformers.AutoTokenizer.from_pretrained(place.out)
    other = transformers.AutoModelForCausalLM.from_pretrained(place.out).eval()
    assert other.config.eos_token_id == tokenizer.eos_token_id == 2
    ids = torch.tensor([tokenizer(KOREAN[2], add_special_tokens=False)["input_ids"][:32]])
    decoder = load_decoder(place.out).eval()
    with torch.no_grad():
        torch.testing.assert_close(decoder.logits(decoder(ids)), other(ids).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    name: str, tmp_path: Path, root: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"decoder.dropout": 0.1, "decoder.attention_dropout": 0.1, "decoder.embedding_dropout": 0.1}
    given = recipe("gpt2_tiny", **(SHORT | rates | {"max_steps": 12, "validate_every": 5}))
    place = workspace(root, "whole")
    pretrain.run(place, given)
    stopped = replace(place, scratch=tmp_path / "stopped", out=tmp_path / "out")
    original, served = PackedRows.batch, []

    def deadly(self: PackedRows, first: int, count: int) -> dict[str, Tensor]:
        served.append(first // 8)
        if first == 7 * 8 and served.count(7) == 1:
            os.kill(os.getpid(), getattr(signal, name))
        return original(self, first, count)

    monkeypatch.setattr(PackedRows, "batch", deadly)
    with pytest.raises(Interrupted, match="state saved"):
        pretrain.run(stopped, given)
    assert not stopped.out.exists(), "nothing half-written"
    before = len(served)
    pretrain.run(stopped, given)
    resumed = served[before:-1]  # the last is of the model card
    assert resumed[0] in (7, 8) and resumed[-1] == 11, "goes on where it stopped"
    assert hash_folder(stopped.out) == hash_folder(place.out)


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_has_its_recipe(name: str) -> None:
    decoder = recipe(name).decoder
    assert decoder is not None
    written = yaml.safe_load((REPOSITORY / "conf" / "decoder" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert decoder.model_dump(mode="json") == written


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        (
            "gpt2_tiny",
            {"objective": "masked_lm"},
            "objective masked_lm trains one encoder, given are decoder",
        ),
        (
            "electra_tiny",
            {"objective": "causal_lm"},
            "objective causal_lm trains one decoder, given are encoder",
        ),
        ("gpt2_tiny", {"decoder": None}, "given are none"),
        ("gpt2_tiny", {"rows": "full_sentences"}, "rows full_sentences have no labels, .* take rows stream"),
        ("roberta_tiny", {"rows": "stream"}, "rows stream hold what follows each token, .* full_sentences"),
    ],
)
def test_a_network_of_the_wrong_kind_is_told(name: str, changes: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        recipe(name, **changes)
