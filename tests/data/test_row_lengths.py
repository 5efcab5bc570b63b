"""Rows as long as their step says: stretches of whole steps, each a corpus presented from its beginning."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from seedbed.config import UserError
from seedbed.data.presentations import Steps
from seedbed.data.row_lengths import RowLength, RowsByStep, Stretch, stretches
from seedbed.objectives import PretrainRecipe
from seedbed.stages.compose import compose_run
from seedbed.stages.pretrain import open_rows, open_steps
from seedbed.tokenization import Vocabulary
from tests.data.bilingual import write_tokens

REPOSITORY = Path(__file__).parents[2]
BATCH, STEPS = 4, 20
PUBLISHED = [{"tokens": 16, "share": 0.9}, {"tokens": 48, "share": 0.1}]


def recipe(lengths: list[dict[str, object]] | None = None) -> PretrainRecipe:
    settings = {"encoder.max_length": 48, "global_batch_size": BATCH, "max_steps": STEPS}
    tree = compose_run(REPOSITORY, "pretrain", "roberta_tiny", {"tokens": "t"}, settings)
    return PretrainRecipe.parse({**tree, "row_lengths": lengths or []}, "pretrain.x")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))


def by_step(tokens: Path, lengths: list[dict[str, object]] | None = None) -> RowsByStep:
    return open_steps(recipe(lengths), tokens, Vocabulary.load(tokens / "tokenizer"))


def test_bert_as_published() -> None:
    """900,000 steps of 128 tokens, 100,000 of 512: arXiv 1810.04805, appendix A.2."""
    values = compose_run(REPOSITORY, "pretrain", "bert_large", {"tokens": "t"}, {})
    found = PretrainRecipe.parse(values, "pretrain.bert_large")
    assert stretches(found.row_lengths, max_steps=found.max_steps, longest=512) == [
        Stretch(0, 900_000, 128),
        Stretch(900_000, 1_000_000, 512),
    ]


def test_stretches_are_whole_steps_and_leave_none_out() -> None:
    thirds = [RowLength(tokens=8 * n, share=1 / 3) for n in (1, 2, 3)]
    for steps in range(1, 50):
        found = stretches(thirds, max_steps=steps, longest=24)
        assert found[0].first == 0 and found[-1].stop == steps
        assert all(a.stop == b.first < b.stop for a, b in pairwise(found))
    assert stretches([], max_steps=7, longest=24) == [Stretch(0, 7, 24)]


@pytest.mark.parametrize(("first_step", "world"), [(0, 1), (0, 2), (17, 1), (18, 2)])
def test_a_step_is_a_function_of_its_number(tokens: Path, first_step: int, world: int) -> None:
    """Whatever was done before, on however many ranks: step 18 is the first with rows of 48 tokens."""
    whole, again = by_step(tokens, PUBLISHED), by_step(tokens, PUBLISHED)
    ranks = [
        Steps(
            again, first_step=first_step, max_steps=STEPS, global_batch_size=BATCH,
            micro_batch_size=BATCH // 2 // world, rank=rank, world_size=world,
        )
        for rank in range(world)
    ]  # fmt: skip
    for step in range(first_step, STEPS):
        expected = whole.batch(step * BATCH, BATCH)["input_ids"]
        assert expected.shape == (BATCH, 16 if step < 18 else 48) and whole.length(step) == expected.shape[1]
        parts = [micro["input_ids"] for micros in zip(*[r[step - first_step] for r in ranks], strict=True)
                 for micro in micros]  # fmt: skip
        assert torch.equal(torch.cat(parts), expected)


def test_each_stretch_presents_the_corpus_from_its_beginning(tokens: Path) -> None:
    data = by_step(tokens, PUBLISHED)
    (short, rows), (long, _) = data.parts
    vocabulary = Vocabulary.load(tokens / "tokenizer")
    plain = open_rows(recipe(), tokens, vocabulary, "train", length=16)
    assert torch.equal(data.batch(8, 4)["input_ids"], plain.batch(8, 4)["input_ids"])
    assert sorted(data.names(18 * BATCH, 4)) != data.names(0, 4)
    assert data.num_epochs == pytest.approx(72 / rows.num_rows + 8 / data.parts[1][1].num_rows)
    assert data.num_tokens == 72 * short.length + 8 * long.length  # full_sentences pads nothing
    shown = {name for first in range(0, rows.num_rows) for name in data.names(first, 1)}
    assert len(shown) == rows.num_rows


def test_without_lengths_nothing_changes(tokens: Path) -> None:
    data = by_step(tokens)
    plain = open_rows(recipe(), tokens, Vocabulary.load(tokens / "tokenizer"), "train")
    for first in (0, 60):
        ours, theirs = data.batch(first, 4), plain.batch(first, 4)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert data.names(60, 4) == plain.names(60, 4)


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match=r"the shares of row_lengths are 0\.9 together; make them 1"):
        recipe(PUBLISHED[:1])
    with pytest.raises(UserError, match="rows of 49 tokens, the network has 48 positions"):
        recipe([{"tokens": 49, "share": 1.0}])
