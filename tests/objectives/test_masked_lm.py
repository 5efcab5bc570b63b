"""Masked LM as a Learner: conformance, scores, the file."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml

from seedbed.models.encoder import Family
from seedbed.objectives import MaskedLM, MaskedLMConfig
from tests.conformance import check_learner, check_two_processes
from tests.models.families import FAMILIES, vocabulary_of
from tests.objectives.batches import MASKED_LM, make_roberta, text_rows, tiny, whole_and_halves

CONF = Path(__file__).resolve().parents[2] / "conf" / "objective" / "masked_lm.yaml"
OBJECTIVE = MASKED_LM


def make_bert_with_dropout() -> MaskedLM:
    return OBJECTIVE.build(tiny("bert", dropout=0.1, attention_dropout=0.1), vocabulary_of("bert"), seed=1)


def test_conformance() -> None:
    masker = OBJECTIVE.prepare(vocabulary_of("roberta"))
    check_learner(make_roberta, masker(text_rows("roberta", num_rows=8), 0, 0))


def test_conformance_with_dropout_and_padding() -> None:
    masker = OBJECTIVE.prepare(vocabulary_of("bert"))
    check_learner(make_bert_with_dropout, masker(text_rows("bert", num_rows=8, padded=True), 0, 0))


def test_two_processes_equal_one() -> None:
    masker = OBJECTIVE.prepare(vocabulary_of("roberta"))
    whole, halves = whole_and_halves(masker, text_rows("roberta", num_rows=8))
    check_two_processes(make_roberta, whole, halves=halves)


def test_conf_file_is_the_published_masking() -> None:
    config = MaskedLMConfig.parse(yaml.safe_load(CONF.read_text(encoding="utf-8")), "objective")
    assert config == OBJECTIVE


def test_weights_follow_the_seed() -> None:
    first, again = make_roberta().state_dict(), make_roberta().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_scores_of_batches_are_the_score_of_all() -> None:
    learner = make_roberta().eval()
    masker = OBJECTIVE.prepare(vocabulary_of("roberta"))
    rows_BL = text_rows("roberta", num_rows=32)
    parts, whole = learner.scores(), learner.scores()
    with torch.no_grad():
        for first in range(0, 32, 8):
            learner.score(masker(rows_BL[first : first + 8], first, 0), parts)
        learner.score(masker(rows_BL, 0, 0), whole)
    for name, value in whole.results().items():
        assert parts.results()[name] == pytest.approx(value, rel=1e-5)
    results = whole.results()
    assert results.keys() == {"loss", "accuracy", "perplexity"}
    assert results["perplexity"] == pytest.approx(np.exp(results["loss"]), rel=1e-12)
    # an untrained model knows nothing: about one in 211 tokens
    assert results["loss"] == pytest.approx(np.log(211), abs=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_model_gives_the_same_loss_in_transformers(family: Family, tmp_path: Path) -> None:
    vocabulary = vocabulary_of(family)
    learner = OBJECTIVE.build(tiny(family), vocabulary, seed=2).eval()
    learner.save(tmp_path)
    other = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    batch = OBJECTIVE.prepare(vocabulary)(text_rows(family, num_rows=4, padded=True), 0, 0)
    labels = torch.full_like(batch["input_ids"], -100)
    labels.view(-1)[batch["masked_index"]] = batch["labels"]
    with torch.no_grad():
        theirs = other(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels
        ).loss
        assert float(learner.whole_loss(batch)["loss"]) == pytest.approx(float(theirs), rel=1e-5)
