"""Which tokens begin a word, in both tokenizers and in a foreign one."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from seedbed.tokenization import (
    ByteLevelBPEConfig,
    Vocabulary,
    WordPieceConfig,
    encode_batch,
    load_tokenizer,
    save_tokenizer,
)
from seedbed.tokenization.words import word_starts

TEXTS = [
    "the reader reads, rereads and unreads.",
    "한국어 문장은 띄어쓰기로 나뉩니다.",
    "漢字 is split 漢字漢字",
    "tabs\tand\nlines  twice",
] * 3


def words(folder: Path, text: str) -> list[str]:
    """The text's tokens joined to words by the table."""
    tokenizer, starts = load_tokenizer(folder), Vocabulary.load(folder).begins_word()
    joined: list[list[int]] = []
    for index in encode_batch(tokenizer, [text])[0]:
        if not joined or starts[index]:
            joined.append([])
        joined[-1].append(index)
    return [tokenizer.decode(ids) for ids in joined]


def test_wordpiece(tmp_path: Path) -> None:
    config = WordPieceConfig(name="wordpiece", vocab_size=140, lowercase=True)
    save_tokenizer(config.train(lambda: TEXTS), config, folder=tmp_path)
    assert words(tmp_path, "the unreads, 한국어 문장은.") == ["the", "unreads", ",", "한국어", "문장은", "."]
    assert words(tmp_path, "漢字漢 is") == ["漢", "字", "漢", "is"]
    table = Vocabulary.load(tmp_path).begins_word()
    assert table.dtype == np.bool_ and len(table) == Vocabulary.load(tmp_path).size
    assert table[:5].all()


def test_byte_level_bpe(tmp_path: Path) -> None:
    config = ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=400)
    save_tokenizer(config.train(lambda: TEXTS), config, folder=tmp_path)
    assert words(tmp_path, "the unreads, 한국어 문장은.") == ["the", " unreads,", " 한국어", " 문장은."]
    # no blank, no boundary: honest about Chinese
    assert words(tmp_path, "漢字漢字 is") == ["漢字漢字", " is"]
    # each blank begins anew
    assert "".join(words(tmp_path, "tabs\tand\nlines  twice")) == "tabs\tand\nlines  twice"
    assert len(words(tmp_path, "tabs\tand\nlines  twice")) >= 4


def test_a_tokenizer_without_marks_has_no_table() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    assert word_starts(tokenizer, size=2) == b""


def test_the_table_reaches_added_and_missing_ids() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "Ġa": 1}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>"])
    assert word_starts(tokenizer, size=5) == bytes([0, 1, 1, 1, 1])


@pytest.mark.parametrize("index", [0, 1])
def test_a_vocabulary_made_by_hand_has_none(index: int) -> None:
    vocabulary = Vocabulary(size=2, pad_id=0, unk_id=0, cls_id=0, sep_id=0, mask_id=0, special_ids=(index,))
    assert vocabulary.begins_word().size == 0 and "word_starts" not in repr(vocabulary)
