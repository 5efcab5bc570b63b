"""Causal LM as a Learner: conformance, scores, the file, the loss of transformers."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml

from seedbed.objectives import CausalLM, CausalLMConfig
from tests.conformance import check_learner, check_two_processes
from tests.models.decoders import GPTS, small_gpt, streams
from tests.models.families import BPE

CONF = Path(__file__).resolve().parents[2] / "conf" / "objective" / "causal_lm.yaml"
OBJECTIVE = CausalLMConfig(name="causal_lm")
EVERY = pytest.mark.parametrize("name", GPTS)


def make(name: str, dropout: float = 0.0) -> CausalLM:
    rates = {"embedding_dropout": dropout, "dropout": dropout, "attention_dropout": dropout}
    config = small_gpt(name, num_layers=2, initializer_range=0.1, **rates)
    return OBJECTIVE.build(config, BPE, seed=1)


def make_gpt2() -> CausalLM:
    return make("gpt2")


def batch_of(num_rows: int = 8) -> dict[str, torch.Tensor]:
    return following(streams(num_rows=num_rows, length=21))


def following(rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Rows (B, L + 1) as tokens read and the tokens that follow them, as rows of a stream come."""
    return OBJECTIVE.prepare(BPE)(rows[:, :-1].numpy(), 0, 0) | {"labels": rows[:, 1:]}


@EVERY
def test_conformance(name: str) -> None:
    check_learner(partial(make, name), batch_of())


def test_conformance_with_dropout() -> None:
    check_learner(partial(make, "gpt1", 0.1), batch_of())


def test_two_processes_equal_one() -> None:
    check_two_processes(make_gpt2, batch_of())


def test_conf_file_is_the_objective() -> None:
    assert CausalLMConfig.parse(yaml.safe_load(CONF.read_text(encoding="utf-8")), "objective") == OBJECTIVE


def test_every_position_counts() -> None:
    rows = streams(length=21)
    batch = following(rows)
    assert torch.equal(batch["input_ids"], rows[:, :-1]), "nothing is hidden"
    assert make_gpt2().counts(batch) == {"tokens": torch.tensor(5 * 20)}


def test_weights_follow_the_seed() -> None:
    first, again = make_gpt2().state_dict(), make_gpt2().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_scores_of_batches_are_the_score_of_all() -> None:
    learner = OBJECTIVE.build(small_gpt("gpt2"), BPE, seed=1).eval()
    whole, parts = learner.scores(), learner.scores()
    batch = batch_of(32)
    with torch.no_grad():
        learner.score(batch, whole)
        for first in range(0, 32, 8):
            learner.score({key: value[first : first + 8] for key, value in batch.items()}, parts)
        chosen = learner.decoder.logits(learner.decoder(batch["input_ids"])).argmax(-1)
    results = whole.results()
    for name, value in results.items():
        assert parts.results()[name] == pytest.approx(value, rel=1e-5)
    assert results.keys() == {"loss", "accuracy", "perplexity"}
    assert results["accuracy"] == pytest.approx(float((chosen == batch["labels"]).double().mean()))
    assert results["perplexity"] == pytest.approx(np.exp(results["loss"]), rel=1e-12)
    # an untrained model knows nothing: about one in 211 tokens
    assert results["loss"] == pytest.approx(np.log(211), abs=0.1)


@EVERY
def test_saved_model_gives_the_same_loss_in_transformers(name: str, tmp_path: Path) -> None:
    learner = make(name).eval()
    learner.save(tmp_path)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    rows = streams(length=21)
    with torch.no_grad():
        ours = learner.whole_loss(following(rows))["loss"]
        theirs = other(input_ids=rows, labels=rows).loss
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
