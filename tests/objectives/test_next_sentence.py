"""BERT's objective: parity with BertForPreTraining, conformance, scores, and what becomes of the pooler."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml
from torch import Tensor

from seedbed.config import UserError
from seedbed.models import PretrainingHeads, load_encoder, load_pooler
from seedbed.models.layout import encoder_tensors, head_tensors
from seedbed.objectives import NextSentence, NextSentenceConfig
from tests.conformance import check_learner, check_two_processes
from tests.models.families import WORDPIECE, shake
from tests.models.test_reference import (
    EXACT,
    PADDED,
    as_gradients,
    assert_close,
    assert_same_gradients,
    gradients,
)
from tests.objectives.batches import LENGTH, text_rows, tiny

CONF = Path(__file__).resolve().parents[2] / "conf" / "objective" / "next_sentence.yaml"
OBJECTIVE = NextSentenceConfig(name="next_sentence")


def make_bert() -> NextSentence:
    return OBJECTIVE.build(tiny("bert"), WORDPIECE, seed=1)


def make_bert_with_dropout() -> NextSentence:
    return OBJECTIVE.build(tiny("bert", dropout=0.1, attention_dropout=0.1), WORDPIECE, seed=1)


def batch_of(num_rows: int, *, first: int = 0, padded: bool = False) -> dict[str, Tensor]:
    """Rows in two segments; a token of the second tells whether it follows."""
    rows_BL = text_rows("bert", num_rows=first + num_rows, padded=padded)[first:]
    labels_B = np.arange(first, first + num_rows) % 2
    rows_BL[:, 7], rows_BL[:, 8] = WORDPIECE.sep_id, 9 + labels_B
    batch = OBJECTIVE.prepare(WORDPIECE)(rows_BL, first, 0)
    types_BL = np.broadcast_to(np.arange(LENGTH) > 7, rows_BL.shape) & (rows_BL != WORDPIECE.pad_id)
    return batch | {
        "token_type_ids": torch.from_numpy(types_BL.astype(np.int64)),
        "next_sentence_labels": torch.from_numpy(labels_B),
    }


def test_conformance() -> None:
    check_learner(make_bert, batch_of(8))


def test_conformance_with_dropout_and_padding() -> None:
    check_learner(make_bert_with_dropout, batch_of(8, padded=True))


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    check_two_processes(make_bert, batch_of(8), halves=[batch_of(4), batch_of(4, first=4)])


def test_conf_file() -> None:
    config = NextSentenceConfig.parse(yaml.safe_load(CONF.read_text(encoding="utf-8")), "objective")
    assert config == OBJECTIVE


@PADDED
@EXACT
def test_reference(padded: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    """BertForPreTraining on the same weights: logits, both losses, and every gradient of their sum."""
    learner = make_bert()
    shake(learner)
    learner = learner.float().to(dtype)
    learner.save(tmp_path)
    theirs = transformers.BertForPreTraining.from_pretrained(
        tmp_path, attn_implementation="eager", dtype=dtype
    ).eval()
    batch = batch_of(6, padded=padded)
    assert ("attention_mask" in batch) == padded
    losses = learner.whole_loss(batch)
    losses["loss"].backward()

    labels = torch.full_like(batch["input_ids"], -100)
    labels.view(-1)[batch["masked_index"]] = batch["labels"]
    found = theirs(
        input_ids=batch["input_ids"],
        attention_mask=batch.get("attention_mask"),
        token_type_ids=batch["token_type_ids"],
    )
    masked_lm_loss = torch.nn.functional.cross_entropy(
        found.prediction_logits.flatten(0, 1), labels.flatten()
    )
    next_sentence_loss = torch.nn.functional.cross_entropy(
        found.seq_relationship_logits, batch["next_sentence_labels"]
    )
    with torch.no_grad():
        whole = theirs(
            input_ids=batch["input_ids"],
            attention_mask=batch.get("attention_mask"),
            token_type_ids=batch["token_type_ids"],
            labels=labels,
            next_sentence_label=batch["next_sentence_labels"],
        ).loss
    assert_close(masked_lm_loss + next_sentence_loss, whole, dtype, "their loss")
    (masked_lm_loss + next_sentence_loss).backward()

    predicted, logits_BC = learner._forward(batch, count_correct=False)
    assert_close(logits_BC, found.seq_relationship_logits, dtype, "logits of the next sentence")
    assert_close(predicted.total / len(batch["labels"]), masked_lm_loss, dtype, "loss of masked tokens")
    assert_close(losses["next_sentence_loss"], next_sentence_loss, dtype, "loss of the next sentence")
    assert_close(losses["loss"], whole, dtype, "loss")
    ours = encoder_tensors(as_gradients(learner.masked_lm.encoder), prefix="bert.")
    heads = PretrainingHeads(learner.masked_lm.head, learner.head)
    ours |= head_tensors(as_gradients(heads), "bert", "next_sentence")
    assert_same_gradients(ours, gradients(theirs), dtype)


def test_scores_of_batches_are_the_score_of_all() -> None:
    learner = make_bert().eval()
    parts, whole = learner.scores(), learner.scores()
    with torch.no_grad():
        for first in range(0, 24, 8):
            learner.score(batch_of(8, first=first), parts)
        learner.score(batch_of(24), whole)
    results = whole.results()
    assert parts.results() == pytest.approx(results, rel=1e-5)
    assert results.keys() == {
        "loss", "masked_lm_loss", "accuracy", "perplexity", "next_sentence_loss", "next_sentence_accuracy",
    }  # fmt: skip
    assert results["loss"] == pytest.approx(results["masked_lm_loss"] + results["next_sentence_loss"])
    assert results["perplexity"] == pytest.approx(np.exp(results["masked_lm_loss"]))
    # an untrained model knows nothing: one in 211 tokens, one in two sentences
    assert results["masked_lm_loss"] == pytest.approx(np.log(211), abs=0.1)
    assert results["next_sentence_loss"] == pytest.approx(np.log(2), abs=0.05)


def test_the_saved_folder_loads_whole_and_keeps_the_pooler(tmp_path: Path) -> None:
    learner = make_bert()
    learner.save(tmp_path)
    model, info = transformers.AutoModelForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert type(model).__name__ == "BertForPreTraining" and not any(info.values()), info
    bare, info = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"], "the pooler is there, nothing is new"
    assert torch.equal(bare.pooler.dense.weight, learner.head.pooler.weight)
    masked_lm, info = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and type(masked_lm).__name__ == "BertForMaskedLM"
    encoder = load_encoder(tmp_path).encoder.state_dict()
    assert all(torch.equal(v, encoder[n]) for n, v in learner.masked_lm.encoder.state_dict().items())
    pooler = load_pooler(tmp_path)
    assert pooler is not None
    assert torch.equal(pooler.weight, learner.head.pooler.weight)


def test_weights_follow_the_seed() -> None:
    first, again = make_bert().state_dict(), make_bert().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    other = OBJECTIVE.build(tiny("bert"), WORDPIECE, seed=2).state_dict()
    assert not torch.equal(first["head.pooler.weight"], other["head.pooler.weight"])


def test_other_encoders_are_refused() -> None:
    with pytest.raises(UserError, match="family bert"):
        OBJECTIVE.build(tiny("electra"), WORDPIECE)
    with pytest.raises(UserError, match="num_token_types: 1"):
        OBJECTIVE.build(tiny("bert", num_token_types=1), WORDPIECE)
