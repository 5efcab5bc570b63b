"""The finetune stage on decoders: every kind of answer, texts, folders of transformers, and test answers."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import transformers

from seedbed.config import UserError
from seedbed.corpora.base import encode_document
from seedbed.models import save_decoder
from seedbed.stages import finetune
from seedbed.tasks import predict_test
from seedbed.tasks.answers import Answers
from seedbed.tasks.inspection import test_examples as examples_of_test
from seedbed.tasks.prediction import read_facts
from seedbed.tokenization import Vocabulary
from tests.models.decoders import small_gpt
from tests.stages.test_finetune import recipe, workspace
from tests.stages.test_finetune_tasks import KEY, METRIC, TASKS, labelled
from tests.tasks.corpus import documents, write_backbone

CLASSIFIER = {"name": "decoder", "weights": "pretrained"}
WRITER = {"name": "causal_lm", "weights": "pretrained"}
WRITING = {
    "name": "text_generation",
    "target": "second",
    "num_tokens": 16,
    "decoding": {"name": "beam_search", "width": 2},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    folder = write_backbone(root / "models/pretrain/gpt", family="roberta")
    (folder / "config.json").unlink()
    save_decoder(folder, small_gpt("gpt1", max_length=64).build(Vocabulary.load(folder), seed=1))
    corpus = root / "data/clean/tiny"
    corpus.mkdir(parents=True)
    for split, first in (("train", 0), ("valid", 1000), ("test", 2000)):
        found = [labelled(n, d) for n, d in enumerate(documents(4, first=first))]
        (corpus / f"{split}.jsonl").write_bytes(b"".join(map(encode_document, found)))
    return root


@pytest.mark.parametrize("name", ["classification", "regression", "multi_label", "multiple_choice"])
def test_decoders_answer_with_numbers_of_a_text(
    name: str, root: Path, track: Callable[[ModuleType], Any]
) -> None:
    track(finetune)
    place = workspace(root, "gpt", scratch=f"scratch-{name}")
    pairs = "unordered" if name == "classification" else "ordered"
    given = recipe(
        backbone="gpt", task={"name": name, **TASKS[name]}, classifier={**CLASSIFIER, "pairs": pairs},
        max_steps=4, seeds=[1], max_length=40,
    )  # fmt: skip
    finetune.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    assert f"valid/{METRIC[name]}" in metrics and "valid/loss" in metrics
    assert "train/lm_loss" in (place.out / "curves.csv").read_text()
    assert (
        "model = OpenAIGPTForSequenceClassification.from_pretrained" in (place.out / "README.md").read_text()
    )
    valid = pl.read_parquet(place.out / "predictions.parquet")
    test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
    assert valid.columns == test.columns and test.height == 12
    if name == "classification":
        found = Answers(given, place.out)([("글", "둘째"), ("sort", "rows")])
        assert [sum(told["probabilities"].values()) for told in found] == pytest.approx([1, 1])


def test_decoders_write_texts_and_the_test_split_is_written_by_what_was_saved(
    root: Path, track: Callable[[ModuleType], Any]
) -> None:
    track(finetune)
    place = workspace(root, "gpt", scratch="scratch-writing")
    given = recipe(
        backbone="gpt", task=WRITING, classifier=WRITER, max_steps=60, seeds=[1], max_length=40,
        optimizer={"name": "adamw", "learning_rate": 5e-3},
    )  # fmt: skip
    finetune.run(place, given)
    metrics = json.loads((place.out / "metrics.json").read_text())
    valid = pl.read_parquet(place.out / "predictions.parquet")
    scores = given.task.scores(valid, read_facts(place.out))
    assert {f"valid/{name}" for name in ("bleu", "chrf", "exact_match", "perplexity")} <= set(metrics)
    for name, value in scores.items():
        assert metrics[f"valid/{name}"] == pytest.approx(value, abs=1e-9)
    test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
    # all targets are one text: it is learned by heart
    assert test["predicted"].to_list() == test["label"].to_list() == ["둘째 글 😀"] * 12
    assert (
        Answers(given, place.out)([(labelled(n, d).text,) for n, d in enumerate(documents(1))])
        == [{"text": "둘째 글 😀", "cut": True}] * 3
    )
    # texts have no mean: of two seeds the first answers, and it says so
    two = given.model_copy(update={"seeds": (1, 2)})
    shutil.copytree(place.out / "seed-1", place.out / "seed-2")
    assert Answers(two, place.out).seeds == (1,) and Answers(two, place.out, seeds=(2,)).seeds == (2,)
    with pytest.raises(UserError, match="text_generation have no mean; name one seed"):
        Answers(two, place.out, seeds=(1, 2))
    assert "model = OpenAIGPTLMHeadModel.from_pretrained" in (place.out / "README.md").read_text()


def test_a_gpt2_of_transformers_is_fine_tuned_where_it_lies(
    root: Path, track: Callable[[ModuleType], Any]
) -> None:
    """Its tokenizer has one special token, the end of text: nothing to pad, to begin or to hide with."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    track(finetune)
    folder = root / "checkpoints/theirs"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [one.text for one in documents(9)],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    end = "<|endoftext|>"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, bos_token=end, unk_token=end
    ).save_pretrained(folder)
    config = transformers.GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_embd=32, n_layer=1, n_head=2, n_positions=48,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    for name, classifier, task in (
        ("labels", CLASSIFIER, {"name": "classification"}),
        ("texts", WRITER, {**WRITING, "decoding": {"name": "sampling"}}),
    ):
        backbone = "../../checkpoints/theirs"
        given = recipe(
            backbone=backbone, task=task, classifier=classifier, max_steps=2, seeds=[1], max_length=40
        )
        place = workspace(root, "gpt", scratch=f"scratch-{name}")
        place = replace(place, inputs={**place.inputs, f"pretrain/{backbone}": folder})
        finetune.run(place, given)
        test = predict_test(given, place.out, root / "data/clean/tiny", KEY, threads=1)
        assert test.height == 12
        if name == "labels":
            _, unknown = examples_of_test(given, place.out, root / "data/clean/tiny", KEY)
            assert unknown == [0.0] * 12
    with pytest.raises(UserError, match=r"max_length 50, but backbone \S+ has 48 positions"):
        finetune.run(place, given.model_copy(update={"max_length": 50}))
