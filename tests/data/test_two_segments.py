"""Two segments of one document: what follows what, shares of single and short rows."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from seedbed.config import UserError
from seedbed.data import TwoSegmentsConfig
from seedbed.data.shards import TokenStore
from seedbed.data.two_segments import TwoSegments
from tests.data.tokens import write

VOCABULARY = SimpleNamespace(pad_id=0, cls_id=2, sep_id=3)
LENGTH = 23


def layout(folder: Path, *, max_length: int = LENGTH, **shares: float) -> TwoSegments:
    config = TwoSegmentsConfig.parse({"name": "two_segments", **shares}, "rows")
    return config.build(TokenStore.open(folder, "train"), max_length=max_length, vocabulary=VOCABULARY)


def numbered(lengths: list[int]) -> list[list[int]]:
    return [list(range(1000 * (n + 1), 1000 * (n + 1) + k)) for n, k in enumerate(lengths)]


def test_both_segments_are_of_one_document_and_in_order(tmp_path: Path) -> None:
    lengths = [0, 1, 5, 10, 11, 20, 21, 47, 60]
    data = layout(write(tmp_path, numbered(lengths), vocab_size=20_000), single_share=0.0, short_share=0.0)
    numbers = np.arange(data.num_rows)
    found = data.rows(numbers, numbers, 0)
    content = []
    for row, types in zip(found["input_ids"], found["token_type_ids"], strict=True):
        text = row[row > 3]
        content += text.tolist()
        assert (np.diff(text) == 1).all() and len(set(text // 1000)) == 1
        halves = [int(((types == t) & (row > 3)).sum()) for t in (0, 1)]
        assert halves == [min(10, len(text)), max(0, len(text) - 10)]
        assert (row == 3).sum() == (2 if halves[1] else 1)
    assert content == [token for document in numbered(lengths) for token in document]
    assert data.num_dropped_tokens == 0


def test_shares_by_chi_square(tmp_path: Path) -> None:
    data = layout(write(tmp_path, numbered([60] * 50), vocab_size=70_000))
    draws = np.arange(30_000)
    found = data.rows(draws % data.num_rows, draws, 1)
    lengths = (found["input_ids"] > 3).sum(1)
    single = ~found["token_type_ids"].any(1) & (lengths > 10)
    short = lengths < 20
    # of the 16 lengths 5 to 20 the last is no short row
    expected = 0.05 * 15 / 16
    assert stats.binomtest(int(short.sum()), len(draws), expected).pvalue > 1e-3
    assert stats.binomtest(int(single[~short].sum()), int((~short).sum()), 0.1).pvalue > 1e-3
    assert stats.chisquare(np.bincount(lengths[short], minlength=20)[5:20]).pvalue > 1e-3
    again = data.rows((draws % data.num_rows)[100:110], draws[100:110], 1)
    assert np.array_equal(again["input_ids"], found["input_ids"][100:110])


def test_too_short(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no document has a token"):
        layout(write(tmp_path, [[]]))
    with pytest.raises(UserError, match="max_length: 4 leaves no room"):
        layout(tmp_path, max_length=4)
    data = layout(write(tmp_path / "least", [[5, 6, 7]]), max_length=5)
    assert data.rows(np.arange(2), np.arange(2), 0)["input_ids"].shape == (2, 5)
