"""Texts from texts: rows and what is learned of them, the Learner's contract, what is written and its scores."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.evaluation.scored import Answered, draw, score
from seedbed.models import Decoder, save_decoder
from seedbed.stages.evaluate import predicted
from seedbed.tasks.decoder_writer import CausalLMWriterConfig
from seedbed.tasks.examples import TaskFacts
from seedbed.tasks.prediction import predict
from seedbed.tasks.text_generation import IGNORED, EncodedTexts, TextGeneration, TextGenerationConfig
from seedbed.tokenization import Vocabulary, encode_batch, load_tokenizer
from tests.conformance import check_learner, check_two_processes
from tests.models.decoders import small_gpt
from tests.tasks.corpus import documents, write_backbone

CONF = Path(__file__).resolve().parents[2] / "conf"
WRITER = CausalLMWriterConfig.parse(
    {"name": "causal_lm", "weights": "pretrained", "dropout": 0.0, "embedding_dropout": 0.0}, "classifier"
)
FACTS = TaskFacts(labels=())
ANSWERS = ["그물의 층", "sort the rows by keys and give them back", "가중치를 더한다 😀"]
FOUND = [
    Document(one.id, one.text[: 10 + 5 * (number % 4)], {"answer": ANSWERS[number % 3]})
    for number, one in enumerate(documents(2))
]


def task(**changes: Any) -> TextGenerationConfig:
    given = {"name": "text_generation", "target": "answer", "num_tokens": 12, "decoding": {"name": "greedy"}}
    return TextGenerationConfig.parse(given | changes, "task")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_backbone(tmp_path_factory.mktemp("gpt2"), family="roberta")
    save_decoder(folder, small_gpt("gpt2", max_length=64).build(Vocabulary.load(folder), seed=1))
    return folder


def learner(backbone: Path, **changes: Any) -> TextGeneration:
    return task(**changes).learner(WRITER.network(backbone, "text", num_outputs=0, seed=3))


def encode(backbone: Path, *, max_length: int = 48, **changes: Any) -> EncodedTexts:
    given = task(**changes)
    network = WRITER.network(backbone, "text", num_outputs=0, seed=3)
    examples = given.examples(FOUND, split="train", facts=FACTS)
    rows = WRITER.encode(network, given, examples, backbone, facts=FACTS, max_length=max_length)
    assert isinstance(rows, EncodedTexts)
    return rows


def learner_in(folder: str) -> TextGeneration:
    return learner(Path(folder))


@pytest.mark.parametrize("learned", ["target", "everything"])
def test_rows_and_what_is_learned_of_them(backbone: Path, learned: str) -> None:
    rows = encode(backbone, learned=learned)
    tokenizer, size = load_tokenizer(backbone), Vocabulary.load(backbone).size
    for number, document in enumerate(FOUND):
        source, target = encode_batch(tokenizer, [document.text, document.meta["answer"]])
        wanted = [size, *source, size + 1, *target, size + 2]
        assert rows.ids[number].tolist() == wanted
        [labels] = rows.labels_of(np.array([number]), 40).tolist()
        silent = len(source) + 2 if learned == "target" else 1
        assert labels[:silent] == [IGNORED] * silent
        assert labels[silent:] == wanted[silent:] + [IGNORED] * (40 - len(wanted))


def test_long_sources_and_targets_are_cut_and_a_cut_target_has_no_end(backbone: Path) -> None:
    rows = encode(backbone, max_length=12, num_tokens=4)
    assert max(map(len, rows.ids)) == 12
    end = Vocabulary.load(backbone).size + 2
    ended = [ids[-1] == end for ids in rows.ids]
    whole = [len(ids) - prompt < 4 for ids, prompt in zip(rows.ids, rows.prompts, strict=True)]
    assert not all(ended) and all(a or not b for a, b in zip(ended, whole, strict=True))
    with pytest.raises(UserError, match="max_length 14 leaves no token for the source"):
        encode(backbone, max_length=14)


@pytest.mark.parametrize("learned", ["target", "everything"])
def test_keeps_the_contract_of_learners(backbone: Path, learned: str) -> None:
    batch = encode(backbone, learned=learned).collate(np.arange(6))
    check_learner(lambda: learner(backbone, learned=learned), batch, steps=25)


def test_the_loss_is_that_of_transformers_with_the_same_labels(backbone: Path, tmp_path: Path) -> None:
    made = learner(backbone).eval()
    WRITER.save(tmp_path, made.classifier, labels=None)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).double().eval()
    batch = encode(backbone).collate(np.arange(6))
    logits = theirs(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    wanted = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED
    )
    found = made.double().whole_loss(batch)["loss"]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_step_is_the_same_however_it_is_cut(backbone: Path) -> None:
    made, rows = learner(backbone).double().eval(), encode(backbone)
    whole = rows.collate(np.arange(6))
    counts = made.counts(whole)
    parts = [rows.collate(np.arange(first, last)) for first, last in ((0, 1), (1, 6))]
    added = sum(made.training_loss(part, counts)["loss"] for part in parts)
    torch.testing.assert_close(added, made.training_loss(whole, counts)["loss"], rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def fitted(backbone: Path) -> TextGeneration:
    """A learner that knows the three answers by heart."""
    torch.manual_seed(0)
    made, batch = learner(backbone), encode(backbone).collate(np.arange(6))
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(60):
        loss = made.whole_loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made.eval()


DECODINGS = [
    {"name": "greedy"},
    {"name": "beam_search", "width": 3},
    {"name": "sampling", "temperature": 0.5, "seed": 7},
]


@pytest.mark.parametrize("decoding", DECODINGS, ids=lambda one: one["name"])
def test_what_was_learned_is_written_and_scored(
    backbone: Path, fitted: TextGeneration, decoding: dict[str, Any]
) -> None:
    given = task(decoding=decoding)
    made = given.learner(fitted.classifier).eval()
    examples = given.examples(FOUND, split="train", facts=FACTS)
    rows = encode(backbone)
    frame = given.table(1, examples, rows, predict(made, rows, precision="fp32"), FACTS)
    assert frame["label"].to_list() == [ANSWERS[n % 3] for n in range(6)]
    assert frame["predicted"].to_list() == frame["label"].to_list()
    scores = given.scores(frame, FACTS)
    assert scores["exact_match"] == 1 and scores["chrf"] == pytest.approx(100)
    accumulator = made.scores()
    with torch.no_grad():
        made.score(rows.collate(np.arange(6)), accumulator)
    assert scores["perplexity"] == pytest.approx(np.exp(accumulator.results()["loss"]), rel=1e-5)
    assert accumulator.results()["token_accuracy"] == 1


def test_chance_belongs_to_the_example_and_not_to_its_batch(backbone: Path) -> None:
    made = learner(backbone, decoding={"name": "sampling", "temperature": 1.5, "seed": 1}).eval()
    rows = encode(backbone)
    with torch.no_grad():
        together = made.outputs(rows.collate(np.arange(6)))
        alone = torch.cat([made.outputs(rows.collate(np.array([n]))) for n in range(6)])
    assert torch.equal(together[:, 2:], alone[:, 2:])
    torch.testing.assert_close(together[:, :2], alone[:, :2], rtol=1e-5, atol=1e-5)
    texts = {tuple(row) for row in together[:, 2:].tolist()}
    assert len(texts) == 6


def test_transformers_writes_the_same_from_the_saved_folder(
    backbone: Path, fitted: TextGeneration, tmp_path: Path
) -> None:
    WRITER.save(tmp_path, fitted.classifier, labels=None)
    WRITER.copy_tokenizer(backbone, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for number in range(3):
        prompt = f"<|start|>{FOUND[number].text}<|delimiter|>"
        given = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        ids = model.generate(**given, max_new_tokens=12, do_sample=False)
        written = tokenizer.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
        assert written.strip() == ANSWERS[number]
    again = WRITER.load(tmp_path, "text")
    assert isinstance(again, Decoder) and again.end_id == fitted.classifier.end_id


def test_scores_get_intervals_that_no_bound_cuts() -> None:
    frame = pl.DataFrame(
        {
            "seed": [1] * 8,
            "id": list("abcdefgh"),
            "label": ["나는 학교에 갔다 오늘", "a b c d e", "x y z w", "가 나 다 라"] * 2,
            "predicted": ["나는 학교에 갔다 어제", "a b c d e", "x y", "가 나 라 다"] * 2,
            "nats": [8.0, 3.0, 9.0, 5.0] * 2,
            "tokens": [6, 7, 6, 6] * 2,
        }
    )
    given = task()
    run = predicted(given, frame, FACTS, run="r", title="t")
    assert isinstance(run, Answered) and run.headline == "bleu"
    found = score(run, draw(run, resamples=200, seed=1), confidence=0.95, seed=1)
    assert found["perplexity"].value == pytest.approx(np.exp(25 / 25))
    assert found["exact_match"].value == 0.25 and found["exact_match"].low >= 0
    for name in ("bleu", "chrf", "perplexity"):
        assert 1 < found[name].low < found[name].value < found[name].high


def test_conf_files_are_the_task_and_the_classifier() -> None:
    for name, decoding in (
        ("ko_chat", "greedy"), ("ko_chat_sampled", "sampling"), ("ko_en_tatoeba", "beam_search")
    ):  # fmt: skip
        written = yaml.safe_load((CONF / "task" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert TextGenerationConfig.parse(written, name).decoding.name == decoding
    written = yaml.safe_load((CONF / "classifier" / "causal_lm.yaml").read_text(encoding="utf-8"))
    assert CausalLMWriterConfig.parse(written, "causal_lm").weights == "pretrained"


@pytest.mark.slow
def test_two_processes_equal_one(backbone: Path) -> None:
    check_two_processes(partial(learner_in, str(backbone)), encode(backbone).collate(np.arange(6)))
