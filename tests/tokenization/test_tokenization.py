"""Tokenizers: ids, Korean, determinism over processes, and equality with the Hugging Face classes."""

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, ElectraConfig, RobertaConfig

from seedbed.config import UserError
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    Vocabulary,
    WordPieceConfig,
    copy_tokenizer,
    encode_batch,
    encode_stream,
    encode_texts,
    load_tokenizer,
    save_tokenizer,
)
from seedbed.workspace import hash_folder

ENGLISH = [
    f"Return the {thing} of the {owner}, or None if the {owner} has no {thing}."
    for thing in ("name", "length", "parent", "colour", "encoding", "last value")
    for owner in ("array", "node", "file", "request", "tokenizer")
]
KOREAN = [
    f"{who} {what} 읽고 나서 그 결과를 다시 저장합니다."
    for who in ("함수는", "사용자가", "모델이", "한국어 문장은", "프로그램이")
    for what in ("파일을", "문장을", "설정을", "한글을", "자료를")
]
HARD = [
    "한국어 토큰화는 어렵다.",
    unicodedata.normalize("NFD", "한국어 토큰화는 어렵다."),
    "ㅋㅋㅋ ㅠㅠ ㄱㅅ",  # compatibility jamo, as typed in chats
    "ᄒᆞᆫ글",  # a syllable without a precomposed form
    "한글abc漢字かなカナ, Ωmega, naïve Café",
    "👩‍👩‍👧 가족 🇰🇷 🎉",
    "İstanbul ß ﬁ ½",
    "[SEP] and </s> and [MASK] in <mask> text",
    "tab\tnew\nline\u00a0nbsp \u200b zero",
    "",
    " ",
    "a" * 300,
]

WORDPIECE: dict[str, Any] = {"name": "wordpiece", "vocab_size": 600, "lowercase": True, "alphabet_size": 200}
BPE: dict[str, Any] = {"name": "byte_level_bpe", "vocab_size": 600}
Config = WordPieceConfig | ByteLevelBPEConfig


def corpus() -> Iterator[str]:
    yield from ENGLISH + KOREAN


def make(values: dict[str, Any]) -> Config:
    kind = WordPieceConfig if values["name"] == "wordpiece" else ByteLevelBPEConfig
    return kind.parse(values, where="tokenizer")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for values in (WORDPIECE, BPE):
        config = make(values)
        made[config.name] = tmp_path_factory.mktemp(config.name)
        save_tokenizer(config.train(corpus), config, folder=made[config.name])
    return made


def test_special_ids(folders: dict[str, Path]) -> None:
    wordpiece, bpe = (Vocabulary.load(folders[name]) for name in ("wordpiece", "byte_level_bpe"))
    assert (wordpiece.pad_id, wordpiece.unk_id, wordpiece.cls_id, wordpiece.sep_id, wordpiece.mask_id) == (
        0, 1, 2, 3, 4,
    )  # fmt: skip
    assert (bpe.cls_id, bpe.pad_id, bpe.sep_id, bpe.unk_id, bpe.mask_id) == (0, 1, 2, 3, 4)
    assert wordpiece.special_ids == bpe.special_ids == (0, 1, 2, 3, 4)
    for name, vocabulary in (("wordpiece", wordpiece), ("byte_level_bpe", bpe)):
        assert vocabulary.size == load_tokenizer(folders[name]).get_vocab_size() <= 600
        assert sorted(load_tokenizer(folders[name]).get_vocab().values()) == list(range(vocabulary.size))


def test_small_corpus_gives_a_smaller_vocabulary(tmp_path: Path) -> None:
    config = make({**BPE, "vocab_size": 30000})
    save_tokenizer(config.train(corpus), config, folder=tmp_path)
    assert 261 < Vocabulary.load(tmp_path).size < 2000


TRAIN = """
import json, sys
from pathlib import Path
from seedbed.tokenization import Tokenizer, encode_stream, load_tokenizer, set_threads
from seedbed.tokenization.folder import save_tokenizer
from pydantic import TypeAdapter
set_threads(int(sys.argv[3]))
config = TypeAdapter(Tokenizer).validate_python(json.loads(sys.argv[1]))
texts = json.loads(Path(sys.argv[2]).read_text())
save_tokenizer(config.train(lambda: iter(texts)), config, folder=Path(sys.argv[4]))
for ids, lengths in encode_stream(load_tokenizer(Path(sys.argv[4])), texts):
    (Path(sys.argv[4]) / "ids").write_bytes(ids.tobytes() + lengths.tobytes())
"""


@pytest.mark.parametrize("values", [WORDPIECE, {**WORDPIECE, "alphabet_size": 40}, BPE])
def test_training_is_the_same_in_every_process(values: dict[str, Any], tmp_path: Path) -> None:
    texts = tmp_path / "texts.json"
    # many ties: random words seen equally often
    generator = np.random.default_rng(0)
    words = ["".join(map(chr, generator.integers(0xAC00, 0xAC28, 4))) for _ in range(200)]
    texts.write_text(json.dumps([*corpus(), *words, *words]), encoding="utf-8")
    hashes = set()
    for seed, threads in (("0", "1"), ("1", "2"), ("2", "1")):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", TRAIN, json.dumps(values), texts, threads, folder],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        hashes.add(hash_folder(folder))
    assert len(hashes) == 1


def test_continuation_characters_are_those_the_library_finds() -> None:
    from tokenizers import Tokenizer, models, trainers

    config = WordPieceConfig(name="wordpiece", vocab_size=4000, lowercase=True)
    texts = [
        *ENGLISH,
        *KOREAN,
        *HARD,
        "x²y a_b c'd 漢字한글 e\u0301\u0302f 1,000½ ᄒᆞᆫ \U0001f469\u200d\U0001f680z",
    ]
    learner = config._pipeline(Tokenizer(models.WordPiece({}, unk_token="[UNK]")))
    learner.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=0, show_progress=False))
    theirs = learner.get_vocab()
    alphabet, inside = config._alphabet(texts)
    assert set(theirs) == {*alphabet, *("##" + character for character in inside)}


@pytest.mark.parametrize("strip_accents", [False, True])
@pytest.mark.parametrize("lowercase", [False, True])
def test_wordpiece_keeps_hangul_whole(lowercase: bool, strip_accents: bool) -> None:
    config = make({**WORDPIECE, "lowercase": lowercase, "strip_accents": strip_accents})
    tokenizer = config.train(corpus)
    for text in ("한국어 문장은 파일을", unicodedata.normalize("NFD", "한국어 문장은 파일을")):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert 1 not in ids
        assert tokenizer.decode(ids) == "한국어 문장은 파일을"
    assert not [token for token in tokenizer.get_vocab() if "\u1100" <= token[-1] <= "\u11ff"]
    assert (
        tokenizer.normalizer.normalize_str("Café 한")
        == {
            (False, False): "Café 한",
            (False, True): "Cafe 한",
            (True, False): "café 한",
            (True, True): "cafe 한",
        }[lowercase, strip_accents]
    )


@pytest.mark.parametrize("text", HARD)
def test_bpe_gives_back_every_text_composed(text: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(folders["byte_level_bpe"])
    ids = encode_batch(tokenizer, [text])[0]
    assert tokenizer.decode(ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)
    assert not {0, 1, 2, 3, 4} & set(ids)


@pytest.mark.parametrize("name", ["wordpiece", "byte_level_bpe"])
def test_spelling_does_not_matter(name: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(folders[name])
    composed, decomposed = encode_batch(tokenizer, [HARD[0], unicodedata.normalize("NFD", HARD[0])])
    assert composed == decomposed


def test_text_that_spells_special_tokens_is_text(folders: dict[str, Path]) -> None:
    for name in folders:
        tokenizer = load_tokenizer(folders[name])
        ids = encode_batch(tokenizer, ["[SEP] [MASK] </s> <mask> [CLS] <s> [PAD]"])[0]
        assert not {0, 2, 3, 4} & set(ids) if name == "wordpiece" else not {0, 1, 2, 3, 4} & set(ids)


@pytest.mark.parametrize("name", ["wordpiece", "byte_level_bpe"])
@pytest.mark.parametrize("beside_a_model", [False, True])
def test_transformers_gives_the_same_ids(
    name: str, beside_a_model: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    copy_tokenizer(folders[name], tmp_path, max_length=64)
    if beside_a_model:
        # with a config.json transformers is tempted to take the model's own tokenizer class
        (ElectraConfig() if name == "wordpiece" else RobertaConfig()).save_pretrained(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = load_tokenizer(tmp_path)
    vocabulary = Vocabulary.load(tmp_path)
    assert theirs.is_fast and len(theirs) == vocabulary.size and theirs.model_max_length == 64
    for part in ("pad", "unk", "cls", "sep", "mask"):
        assert getattr(theirs, f"{part}_token_id") == getattr(vocabulary, f"{part}_id")
    singles = theirs(HARD, truncation=True, max_length=16, split_special_tokens=True)
    assert singles["input_ids"] == [one.ids for one in encode_texts(ours, HARD, max_length=16)]
    pairs = theirs(
        HARD, HARD[::-1], truncation="longest_first", max_length=20, return_token_type_ids=True,
        split_special_tokens=True,
    )  # fmt: skip
    encoded = encode_texts(ours, HARD, HARD[::-1], max_length=20)
    assert pairs["input_ids"] == [one.ids for one in encoded]
    assert pairs["token_type_ids"] == [one.type_ids for one in encoded]
    whole = theirs(HARD, HARD[::-1], split_special_tokens=True)["input_ids"]
    assert [one.cut for one in encoded] == [len(ids) > 20 for ids in whole]
    assert any(one.cut for one in encoded) and not encode_texts(ours, HARD[:1], max_length=400)[0].cut
    assert ("token_type_ids" in theirs("x")) == (name == "wordpiece")


def test_shapes_of_singles_and_pairs(folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(folders["wordpiece"])
    a, b = encode_batch(tokenizer, ["the name", "of the node"])
    assert encode_texts(tokenizer, ["the name"], max_length=99) == [([2, *a, 3], [0] * (len(a) + 2), False)]
    assert encode_texts(tokenizer, ["the name"], ["of the node"], max_length=99) == [
        ([2, *a, 3, *b, 3], [0] * (len(a) + 2) + [1] * (len(b) + 1), False)
    ]
    tokenizer = load_tokenizer(folders["byte_level_bpe"])
    a, b = encode_batch(tokenizer, ["the name", "of the node"])
    assert encode_texts(tokenizer, ["the name"], ["of the node"], max_length=99)[0][0] == [0, *a, 2, 2, *b, 2]
    assert tokenizer.truncation is None


def test_longest_is_cut_first(folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(folders["wordpiece"])
    ((ids, types, _),) = encode_texts(tokenizer, ["the " * 50], ["name"], max_length=12)
    assert len(ids) == 12
    assert types.count(1) == len(encode_batch(tokenizer, ["name"])[0]) + 1


def test_stream_equals_single_encoding(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = load_tokenizer(folders["wordpiece"])
    texts = (ENGLISH + HARD + KOREAN) * 3
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    for size in (1, 100, 10**6):
        monkeypatch.setattr("seedbed.tokenization.encode._CHARACTERS_PER_BATCH", size)
        parts = list(encode_stream(tokenizer, iter(texts)))
        assert np.concatenate([ids for ids, _ in parts]).tolist() == list(chain.from_iterable(expected))
        assert np.concatenate([lengths for _, lengths in parts]).tolist() == [len(ids) for ids in expected]
    assert not list(encode_stream(tokenizer, iter([])))


def test_alphabet_keeps_the_most_frequent() -> None:
    config = make({**WORDPIECE, "vocab_size": 16, "alphabet_size": 2})
    vocab = config.train(lambda: iter(["aab aab cca d"])).get_vocab()
    assert sorted(vocab, key=vocab.__getitem__)[5:] == ["a", "b", "##a", "##b", "##ab", "aab"]


@pytest.mark.parametrize(
    ("values", "texts", "message"),
    [
        (WORDPIECE, list, "no text to learn from"),
        (WORDPIECE, lambda: [" ", "\n"], "no text to learn from"),
        (BPE, lambda: ["", " "], "no text to learn from"),
        ({**WORDPIECE, "vocab_size": 20}, corpus, "tokenizer.vocab_size: 20 tokens cannot hold"),
    ],
)
def test_untrainable(values: dict[str, Any], texts: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(values).train(texts)


def test_bad_folders(tmp_path: Path, folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="no tokenizer model"):
        load_tokenizer(tmp_path)
    copy_tokenizer(folders["wordpiece"], tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["mask_token"] = "<nothing>"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="mask_token '<nothing>' is not in"):
        Vocabulary.load(tmp_path)
