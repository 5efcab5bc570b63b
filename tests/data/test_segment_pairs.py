"""Pairs of segments: labels by counting, every token once an epoch, B really follows or is of elsewhere."""

from collections import Counter
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from seedbed.config import UserError
from seedbed.data import DynamicConfig, Masks, SegmentPairsConfig, StaticConfig
from seedbed.data.packing import PackedRows
from seedbed.data.segment_pairs import SegmentPairs
from seedbed.data.shards import TokenStore
from tests.data.tokens import write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)
DYNAMIC = DynamicConfig(name="dynamic")
LENGTH = 23


def numbered(count: int, seed: int = 0) -> list[list[int]]:
    """Documents whose tokens are all different: 1000 * document + place."""
    lengths = np.random.default_rng(seed).integers(0, 90, count)
    return [list(range(1000 * (n + 1), 1000 * (n + 1) + k)) for n, k in enumerate(lengths.tolist())]


def layout(folder: Path, *, max_length: int = LENGTH, **shares: float) -> SegmentPairs:
    config = SegmentPairsConfig.parse({"name": "segment_pairs", **shares}, "rows")
    return config.build(TokenStore.open(folder, "train"), max_length=max_length, vocabulary=VOCABULARY)


def presented(data: SegmentPairs, *, masks: Masks = DYNAMIC, seed: int = 3) -> PackedRows:
    def prepare(rows_BL: np.ndarray, draws_B: Any, seed: int) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.from_numpy(rows_BL)}

    return PackedRows(data, masks=masks, seed=seed, prepare=prepare)


def segments(row: list[int]) -> tuple[list[int], list[int]]:
    """A and B of one row, whose marks are checked."""
    first = row.index(3)
    second = row.index(3, first + 1)
    assert row[0] == 2 and not any(row[second + 1 :])
    return row[1:first], row[first + 1 : second]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tokens"), numbered(64), per_shard=501, vocab_size=70_000)


def test_b_follows_a_or_is_of_another_document(folder: Path) -> None:
    data = layout(folder)
    batch = presented(data).batch(0, 3 * data.num_rows)
    assert batch["input_ids"].shape == batch["token_type_ids"].shape == (3 * data.num_rows, LENGTH)
    for row, types, label in zip(
        batch["input_ids"].tolist(),
        batch["token_type_ids"].tolist(),
        batch["next_sentence_labels"].tolist(),
        strict=True,
    ):
        a, b = segments(row)
        assert a and b and len(a) + len(b) + 3 <= LENGTH
        assert types == [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * (LENGTH - len(a) - len(b) - 3)
        assert (np.diff(a) == 1).all() and (np.diff(b) == 1).all()
        if label == 0:
            assert b[0] == a[-1] + 1
        else:
            assert a[0] // 1000 != b[0] // 1000


@pytest.mark.parametrize("masks", [DYNAMIC, StaticConfig(name="static", num_duplicates=2)])
def test_every_token_once_an_epoch(folder: Path, masks: Masks) -> None:
    """Whatever is exchanged; without short rows, which leave some out."""
    data = layout(folder, short_share=0.0)
    rows = presented(data, masks=masks)
    everything = Counter(chain.from_iterable(numbered(64)))
    epochs = [rows.batch(epoch * data.num_rows, data.num_rows) for epoch in range(4)]
    for batch in epochs:
        found = Counter(batch["input_ids"][batch["input_ids"] > 3].tolist())
        assert not found - everything and max(found.values()) == 1
        assert everything.total() - found.total() == data.num_dropped_tokens
    assert data.num_dropped_tokens < 64
    versions = [sorted(map(tuple, batch["input_ids"].tolist())) for batch in epochs]
    assert versions[0] != versions[1]
    assert (versions[0] == versions[2]) == (masks.name == "static")


def test_labels_by_counting(folder: Path) -> None:
    data = layout(folder)
    count = 100 * data.num_rows
    batch = presented(data).batch(0, count)
    labels = batch["next_sentence_labels"].numpy()
    rows = batch["input_ids"].numpy()
    random = int(labels.sum())
    # a row whose partner is of its own document keeps its own B: about one in 64 documents
    assert 0.5 * (1 - 3 / 64) < random / count < 0.5
    # the two of a pair share their label, so half as many labels are independent
    expected = [count / 2 * (1 - 1 / 45), count / 2 * (1 + 1 / 45)]
    assert stats.chisquare([random / 2, (count - random) / 2], np.array(expected) / 2).pvalue > 1e-3
    lengths = (rows > 3).sum(1)
    full = np.isin(rows[:, 1], [1000 * n + 20 * k for n in range(1, 65) for k in range(5)])
    assert full.all(), "A begins where a stretch does"
    # of 64 documents as likely as they are long
    b_documents = np.array([segments(row)[1][0] // 1000 for row in rows[labels == 1].tolist()])
    lengths_D = np.array(
        [max(0, len(d) - len(d) % 20 + (len(d) % 20 if len(d) % 20 > 1 else 0)) for d in numbered(64)]
    )
    rows_D = np.ceil(lengths_D / 20)
    counts_D = np.bincount(b_documents, minlength=65)[1:]
    assert not counts_D[rows_D == 0].any()
    assert np.corrcoef(counts_D, rows_D)[0, 1] > 0.98
    assert lengths.max() == LENGTH - 3


def test_one_row_in_ten_is_short(tmp_path: Path) -> None:
    """Documents of full rows alone, so that a row that is not full is a short one."""
    documents = [list(range(1000 * (n + 1), 1000 * (n + 1) + 60)) for n in range(60)]
    data = layout(write(tmp_path, documents, vocab_size=70_000))
    rows = presented(data).batch(0, 40 * data.num_rows)["input_ids"].numpy()
    lengths = (rows > 3).sum(1)
    short = lengths < 20
    # a length of 20 is drawn once in 19 draws and is not short; the two of a pair are short together
    expected = 0.1 * 18 / 19 * len(rows)
    chi = stats.chisquare(
        [short.sum() / 2, (len(rows) - short.sum()) / 2], [expected / 2, (len(rows) - expected) / 2]
    )
    assert chi.pvalue > 1e-3
    counts = np.bincount(lengths[short], minlength=20)[2:20]
    assert stats.chisquare(counts / 2, np.full(18, counts.sum() / 36)).pvalue > 1e-3


def test_cuts_are_uniform(tmp_path: Path) -> None:
    documents = [list(range(1000 * (n + 1), 1000 * (n + 1) + 60)) for n in range(60)]
    data = layout(write(tmp_path, documents, vocab_size=70_000), short_share=0.0)
    batch = presented(data).batch(0, 40 * data.num_rows)
    first = np.array([len(segments(row)[0]) for row in batch["input_ids"].tolist()])
    counts = np.bincount(first, minlength=20)[1:]
    assert len(counts) == 19
    assert stats.chisquare(counts / 2).pvalue > 1e-3


@pytest.mark.parametrize("shares", [{"random_share": 0.0}, {"random_share": 1.0}])
def test_shares_at_their_ends(folder: Path, shares: dict[str, float]) -> None:
    data = layout(folder, **shares)
    share = presented(data).batch(0, data.num_rows)["next_sentence_labels"].double().mean()
    assert share == 0 if shares["random_share"] == 0 else 0.9 < share <= 1


def test_a_row_is_a_function_of_its_number(folder: Path) -> None:
    data = presented(layout(folder))
    together = data.batch(70, 50)
    apart = [data.batch(number, 1) for number in range(70, 120)]
    for name, values in together.items():
        assert torch.equal(values, torch.cat([one[name] for one in apart])), name
    other = presented(layout(folder), seed=4).batch(70, 50)
    assert not torch.equal(other["input_ids"], together["input_ids"])
    valid = [torch.cat([batch["input_ids"] for batch in data.batches(size, max_rows=31)]) for size in (4, 9)]
    assert torch.equal(*valid)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 documents of two tokens or more, but segment_pairs"):
        layout(write(tmp_path, [[5, 6, 7], [8]]))
    with pytest.raises(UserError, match="max_length: 4 leaves no room"):
        layout(tmp_path, max_length=4)
