"""Decoders fine-tuned as GPT-1 was: the Learner's contract for every task, the auxiliary loss, folders."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.corpora import Document
from seedbed.models import save_decoder
from seedbed.models.decoder_layout import decoder_tensors
from seedbed.tasks.class_weights import GivenConfig
from seedbed.tasks.classification import ClassificationConfig
from seedbed.tasks.decoder_classifier import DecoderClassifierConfig, DecoderLearner
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Task
from seedbed.tasks.multi_label import MultiLabelConfig
from seedbed.tasks.multiple_choice import MultipleChoiceConfig
from seedbed.tasks.regression import RegressionConfig
from seedbed.tokenization import Vocabulary, add_input_tokens, load_tokenizer
from tests.conformance import check_learner, check_two_processes
from tests.models.decoders import small_gpt
from tests.models.families import BPE
from tests.tasks.corpus import documents, write_backbone

CONF = Path(__file__).resolve().parents[2] / "conf" / "classifier"
TASKS: dict[str, Task[Any]] = {
    "single": ClassificationConfig.parse({"name": "classification"}, "task"),
    "pair": ClassificationConfig.parse({"name": "classification", "pair": "pair"}, "task"),
    "number": RegressionConfig.parse({"name": "regression", "pair": "pair"}, "task"),
    "set": MultiLabelConfig.parse({"name": "multi_label", "label": "set"}, "task"),
    "choice": MultipleChoiceConfig.parse(
        {"name": "multiple_choice", "choices": ["pair", "b"], "label": "right"}, "task"
    ),
}
FOUND = [
    Document(
        one.id,
        one.text[:40],
        {
            "label": "가나다"[number % 3],
            "pair": f"둘째 글 {'아주 ' * (number % 3)}{number} 😀",
            "b": "sort the rows",
            "score": str(number % 4),
            "set": '["가"]' if number % 2 else '["가", "b"]',
            "right": str(number % 2),
        },
    )
    for number, one in enumerate(documents(2))
]


def write_decoder(folder: Path, name: str = "gpt1") -> Path:
    """An untrained decoder whose tokenizer learned on the small corpus."""
    write_backbone(folder, family="roberta")
    save_decoder(folder, small_gpt(name, max_length=64).build(Vocabulary.load(folder), seed=1))
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("gpt1"))


def config(**changes: Any) -> DecoderClassifierConfig:
    return DecoderClassifierConfig.parse({"name": "decoder", "weights": "pretrained"} | changes, "classifier")


def learner(backbone: Path, kind: str, **changes: Any) -> DecoderLearner:
    given, task = config(**changes), TASKS[kind]
    facts = task.learn(FOUND)
    network = given.network(backbone, "sequence", num_outputs=task.num_outputs(facts), seed=3)
    return given.learner(network, task)


def encode(backbone: Path, kind: str, **changes: Any) -> EncodedRows:
    task, made = TASKS[kind], learner(backbone, kind, **changes)
    facts = task.learn(FOUND)
    examples = task.examples(FOUND, split="train", facts=facts)
    return config(**changes).encode(made.classifier, task, examples, backbone, facts=facts, max_length=48)


@pytest.mark.parametrize("kind", list(TASKS))
def test_keeps_the_contract_of_learners(backbone: Path, kind: str) -> None:
    batch = encode(backbone, kind).collate(np.arange(6))
    check_learner(lambda: learner(backbone, kind), batch, steps=20, learning_rate=3e-3, falls_to=0.9)


def test_keeps_the_contract_with_both_orders_and_without_the_auxiliary_loss(backbone: Path) -> None:
    changes = {"pairs": "unordered", "auxiliary": 0.0}
    batch = encode(backbone, "pair", **changes).collate(np.arange(6))
    check_learner(lambda: learner(backbone, "pair", **changes), batch, steps=30, falls_to=0.9)


@pytest.mark.parametrize("kind", ["pair", "choice"])
@pytest.mark.parametrize("pairs", ["ordered", "unordered"])
def test_a_step_is_the_same_however_it_is_cut(backbone: Path, kind: str, pairs: str) -> None:
    made = learner(backbone, kind, pairs=pairs).double().eval()
    rows = encode(backbone, kind, pairs=pairs)
    whole = rows.collate(np.arange(6))
    parts = [rows.collate(np.arange(first, last)) for first, last in ((0, 1), (1, 4), (4, 6))]
    counts = made.counts(whole)
    for name, value in made.counts(parts[0]).items():
        assert counts[name] == value + sum(made.counts(part)[name] for part in parts[1:])
    together = made.training_loss(whole, counts)
    for name, value in together.items():
        added = sum(made.training_loss(part, counts)[name] for part in parts)
        torch.testing.assert_close(added, value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gpt1", "gpt2"])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_loss_and_gradients_equal_those_on_transformers_hidden_states(
    name: str, dtype: torch.dtype, within: float, tmp_path: Path
) -> None:
    """The published equations written out on the hidden states of transformers' class."""
    backbone = write_decoder(tmp_path / "backbone", name)
    made = learner(backbone, "pair", auxiliary=0.5)
    config().save(tmp_path / "saved", made.classifier, labels=None)
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "saved").to(dtype).eval()
    weight = made.classifier.out.weight.detach().to(dtype).requires_grad_()
    made = made.to(dtype).eval()
    batch = encode(backbone, "pair").collate(np.arange(6))
    ours = made.whole_loss(batch)
    ours["loss"].backward()

    ids, mask = batch["input_ids"], batch["attention_mask"]
    hidden = theirs(ids, attention_mask=mask).last_hidden_state
    last = hidden[torch.arange(len(ids)), mask.sum(1) - 1]
    lm_logits = hidden[:, :-1] @ theirs.get_input_embeddings().weight.T
    labels = ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    lm_loss = F.cross_entropy(lm_logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    task_loss = F.cross_entropy(last @ weight.T, batch["labels"])
    (task_loss + 0.5 * lm_loss).backward()
    torch.testing.assert_close(ours["lm_loss"], lm_loss, rtol=within, atol=within)
    torch.testing.assert_close(ours["loss"], task_loss + 0.5 * lm_loss, rtol=within, atol=within)
    torch.testing.assert_close(made.classifier.out.weight.grad, weight.grad, rtol=within, atol=within)
    decoder = made.classifier.decoder
    found = decoder_tensors({n: p.grad for n, p in decoder.named_parameters()}, decoder.config)
    for place, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            found[f"transformer.{place}"], parameter.grad, rtol=10 * within, atol=within, msg=place
        )


def test_rows_are_the_published_ones(backbone: Path) -> None:
    tokenizer = load_tokenizer(backbone)
    start, delimiter, extract = add_input_tokens(tokenizer)
    rows = encode(backbone, "choice")
    first = rows.collate(np.array([0]))["input_ids"]
    for choice, key in zip(first.tolist(), ("pair", "b"), strict=True):
        text, answer = (
            tokenizer.encode(one, add_special_tokens=False).ids for one in (FOUND[0].text, FOUND[0].meta[key])
        )
        wanted = [start, *text, delimiter, *answer, extract]
        assert choice[: len(wanted)] == wanted


def test_order_means_nothing_where_it_is_said_to(backbone: Path) -> None:
    made = learner(backbone, "pair", pairs="unordered").eval()
    swapped = [Document(d.id, d.meta["pair"], {**d.meta, "pair": d.text}) for d in FOUND]
    task = TASKS["pair"]
    facts = task.learn(FOUND)
    found = []
    for given in (FOUND, swapped):
        examples = task.examples(given, split="train", facts=facts)
        rows = config(pairs="unordered").encode(
            made.classifier, task, examples, backbone, facts=facts, max_length=48
        )
        with torch.no_grad():
            found.append(made.logits(rows.collate(np.arange(6))))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="reads two texts in both orders, and there is only one"):
        encode(backbone, "single", pairs="unordered")


def test_a_saved_learner_gives_the_same_logits(backbone: Path, tmp_path: Path) -> None:
    made = learner(backbone, "pair", pairs="unordered").eval()
    config().save(tmp_path, made.classifier, labels=("가", "나", "다"))
    config().copy_tokenizer(backbone, tmp_path)
    again = config(pairs="unordered").learner(config().load(tmp_path, "sequence"), TASKS["pair"]).eval()
    rows = encode(backbone, "pair", pairs="unordered")
    task, facts = TASKS["pair"], TASKS["pair"].learn(FOUND)
    read = config().encode(
        again.classifier, task, task.examples(FOUND, split="train", facts=facts), tmp_path,
        facts=facts, max_length=48,
    )  # fmt: skip
    assert all(np.array_equal(a, b) for a, b in zip(rows.ids, read.ids, strict=True))
    batch = rows.collate(np.arange(6))
    assert torch.equal(made.logits(batch), again.logits(batch))


def test_labels_may_count_differently(backbone: Path) -> None:
    """The weights of the task's loss reach the Learner that a network has around it."""
    made, plain = (learner(backbone, "single", auxiliary=0.5).eval() for _ in range(2))
    task, facts = TASKS["single"], TASKS["single"].learn(FOUND)
    weighted = task.model_copy(
        update={"class_weights": GivenConfig(name="given", weights={"가": 3.0, "나": 1.0, "다": 1.0})}
    )
    weighted.weigh(made.of_task, task.examples(FOUND, split="train", facts=facts), facts)
    batch = encode(backbone, "single").collate(np.arange(6))
    logits, labels = made.logits(batch), batch["labels"]
    wanted = F.cross_entropy(logits, labels, torch.tensor([3.0, 1.0, 1.0]))
    found = made.whole_loss(batch)
    torch.testing.assert_close(found["loss"] - 0.5 * found["lm_loss"], wanted, rtol=1e-5, atol=1e-5)
    assert not torch.equal(found["loss"], plain.whole_loss(batch)["loss"])


def test_random_weights_are_new_and_the_seeds_own(backbone: Path) -> None:
    loaded, fresh, again = (
        learner(backbone, "pair", weights=weights).state_dict()
        for weights in ("pretrained", "random", "random")
    )
    name = "classifier.decoder.blocks.0.attention_in.weight"
    assert not torch.equal(loaded[name], fresh[name]) and torch.equal(fresh[name], again[name])


def test_a_tokenizer_larger_than_the_decoder_is_refused(backbone: Path, tmp_path: Path) -> None:
    write_backbone(tmp_path, family="roberta")
    save_decoder(tmp_path, small_gpt("gpt2").build(BPE))
    with pytest.raises(UserError, match="give a folder whose tokenizer is the decoder's"):
        learner(tmp_path, "pair")


def test_conf_files_are_the_classifier() -> None:
    for name, pairs in (
        ("decoder", "ordered"),
        ("decoder_similarity", "unordered"),
        ("decoder_scratch", "ordered"),
    ):
        written = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        assert DecoderClassifierConfig.parse(written, name).pairs == pairs


def make_at(folder: str) -> DecoderLearner:
    return learner(Path(folder), "pair", pairs="unordered")


@pytest.mark.slow
def test_two_processes_equal_one(backbone: Path) -> None:
    batch = encode(backbone, "pair", pairs="unordered").collate(np.arange(6))
    check_two_processes(partial(make_at, str(backbone)), batch)
