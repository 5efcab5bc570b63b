"""Start, delimiter and extract tokens: placed, cut and saved as transformers reads them."""

import unicodedata
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from seedbed.tokenization import (
    Vocabulary,
    add_input_tokens,
    copy_with_input_tokens,
    encode_batch,
    encode_texts,
    load_tokenizer,
)
from tests.tasks.corpus import write_backbone

KOREAN = "모든 사람은 태어날 때부터 자유롭다 😀"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("bpe"), family="roberta")


def test_texts_and_pairs_stand_between_the_three_tokens(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    size = Vocabulary.load(folder).size
    tokens = add_input_tokens(tokenizer)
    assert tokens == (size, size + 1, size + 2)
    assert add_input_tokens(tokenizer) == tokens
    # a text that spells a token is a text
    texts, pairs = [KOREAN, unicodedata.normalize("NFD", "나는 <|extract|> 이다")], ["sort the rows", "ㅋㅋ"]
    first, second = encode_batch(tokenizer, texts), encode_batch(tokenizer, pairs)
    assert not set(tokens) & {one for ids in first for one in ids}
    singles = encode_texts(tokenizer, texts, max_length=64)
    assert [one.ids for one in singles] == [[size, *ids, size + 2] for ids in first]
    both = encode_texts(tokenizer, texts, pairs, max_length=64)
    expected = [[size, *a, size + 1, *b, size + 2] for a, b in zip(first, second, strict=True)]
    assert [one.ids for one in both] == expected
    assert not any(any(one.type_ids) for one in both)


def test_long_pairs_keep_the_three_tokens(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    start, delimiter, extract = add_input_tokens(tokenizer)
    [(ids, _, cut)] = encode_texts(tokenizer, [KOREAN * 9], ["a b c"], max_length=20)
    assert cut and len(ids) == 20
    assert (ids[0], ids[-1], ids.count(delimiter)) == (start, extract, 1)
    assert ids[ids.index(delimiter) + 1 : -1] == encode_batch(tokenizer, ["a b c"])[0]


def test_transformers_reads_texts_as_we_do(folder: Path, tmp_path: Path) -> None:
    copy_with_input_tokens(folder, tmp_path)
    ours = load_tokenizer(tmp_path)
    size = Vocabulary.load(folder).size
    assert add_input_tokens(ours) == (size, size + 1, size + 2)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for pair in (None, "sort the rows"):
        [(ids, _, _)] = encode_texts(ours, [KOREAN], None if pair is None else [pair], max_length=64)
        assert theirs(KOREAN, pair)["input_ids"] == ids
