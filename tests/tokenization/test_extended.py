"""Added tokens: BPE goes on as its own training would, WordPiece learns Korean, old ids and cuts stay."""

import json
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, trainers

from seedbed.config import UserError
from seedbed.tokenization import (
    ByteLevelBPEConfig,
    ExistingTokenizerConfig,
    ExtendedTokenizerConfig,
    Vocabulary,
    WordPieceConfig,
    load_tokenizer,
    new_tokens,
    save_tokenizer,
)
from seedbed.tokenization.extended import count_words
from seedbed.tokenization.extension import longest_first
from tests.data.bilingual import ENGLISH, KOREAN, TEXTS

WORDPIECE = WordPieceConfig(name="wordpiece", vocab_size=300, lowercase=True)
BPE = ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=320)
MIXED = (*KOREAN, "AI 모델은 2026년에도 학습한다 😀. 🤖와 사람", unicodedata.normalize("NFD", KOREAN[0]))


def saved(
    config: WordPieceConfig | ByteLevelBPEConfig, folder: Path, texts: tuple[str, ...] = ENGLISH
) -> Path:
    save_tokenizer(config.train(lambda: texts), config, folder=folder)
    return folder


def extended(base: Path, folder: Path, *, num: int, texts: tuple[str, ...] = KOREAN) -> Path:
    config = ExtendedTokenizerConfig(name="extended", checkpoint="base", num_new_tokens=num)
    config.write(base, lambda: texts, folder=folder)
    return folder


def test_bpe_goes_on_exactly_as_its_training_would(tmp_path: Path) -> None:
    """The library, asked for more from the start, learns the same merges in the same order."""
    short = saved(BPE, tmp_path / "short", TEXTS)
    more = BPE.model_copy(update={"vocab_size": 450})
    long = more.train(lambda: TEXTS)
    config = ExtendedTokenizerConfig(name="extended", checkpoint="base", num_new_tokens=130)
    found = config.extend(load_tokenizer(short), TEXTS)
    assert json.loads(found.to_str())["model"] == json.loads(long.to_str())["model"]


def test_korean_words_onto_an_english_wordpiece(tmp_path: Path) -> None:
    base = saved(WORDPIECE, tmp_path / "base")
    folder = extended(base, tmp_path / "more", num=150, texts=KOREAN * 2)
    old, new = load_tokenizer(base), load_tokenizer(folder)
    first, made_of = new_tokens(base, folder)
    assert first == old.get_vocab_size() and len(made_of) == 150
    assert new.get_vocab_size() == first + 150 == Vocabulary.load(folder).size
    assert {token: new.token_to_id(token) for token in old.get_vocab()} == old.get_vocab()

    def unknown(tokenizer: tokenizers.Tokenizer) -> float:
        ids = [i for e in tokenizer.encode_batch(list(KOREAN), add_special_tokens=False) for i in e.ids]
        return ids.count(1) / len(ids)

    assert unknown(old) > 0.8 and unknown(new) < 0.2
    everything = load_tokenizer(extended(base, tmp_path / "all", num=1000))
    repeated = [w for w, count in count_words(old, KOREAN) if count > 1]
    assert len(repeated) > 10
    assert all(1 not in everything.encode(w, add_special_tokens=False).ids for w in repeated)
    # composed and decomposed Hangul are one text
    ids = [new.encode(form).ids for form in (KOREAN[0], unicodedata.normalize("NFD", KOREAN[0]))]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("config", [WORDPIECE, BPE], ids=["wordpiece", "bpe"])
def test_words_without_new_tokens_are_cut_as_before(
    config: WordPieceConfig | ByteLevelBPEConfig, tmp_path: Path
) -> None:
    base = saved(config, tmp_path / "base")
    folder = extended(base, tmp_path / "more", num=60, texts=(*MIXED, *ENGLISH[:2]))
    old, new = load_tokenizer(base), load_tokenizer(folder)
    first, made_of = new_tokens(base, folder)
    same = changed = 0
    for word in (word for text in TEXTS for word in text.split()):
        before, after = (t.encode(word, add_special_tokens=False).ids for t in (old, new))
        if max(after) < first:
            assert before == after, word
            same += 1
        else:
            changed += 1
            if all(made_of[i - first] for i in after if i >= first) and old.token_to_id("[UNK]") is None:
                # every new token stands for the old ones it was made of
                parts = [made_of[i - first] if i >= first else [i] for i in after]
                assert [i for part in parts for i in part] == before, word
    assert same > 20 and changed > 20
    assert extended(base, tmp_path / "again", num=60, texts=(*MIXED, *ENGLISH[:2]))
    again = (tmp_path / "again/tokenizer.json").read_bytes()
    assert again == (folder / "tokenizer.json").read_bytes()


def test_longest_first_is_the_librarys(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(saved(WORDPIECE, tmp_path))
    vocabulary = tokenizer.get_vocab()
    for word, _ in count_words(tokenizer, TEXTS):
        expected = tokenizer.encode(word, add_special_tokens=False).ids
        found = longest_first(word, vocabulary, prefix="##")
        assert ([1] if found is None else found) == expected, word
    assert longest_first("##ing", vocabulary, prefix="##") is not None
    assert longest_first("##", {"#": 7, "###": 8}, prefix="##") == [7, 8]


def test_a_checkpoints_own_tokenizer(tmp_path: Path) -> None:
    """It stays what it is, whoever wrote it; a GPT's end of text stands for what an encoder would ask."""
    base = saved(BPE, tmp_path / "base", TEXTS)
    existing = ExistingTokenizerConfig(name="existing", checkpoint="base")
    existing.write(base, folder=tmp_path / "copy")
    assert new_tokens(base, tmp_path / "copy")[1] == []
    assert Vocabulary.load(tmp_path / "copy") == Vocabulary.load(base)
    gpt = tmp_path / "gpt"
    plain = BPE.train(lambda: TEXTS)
    plain.save(str(gpt.with_suffix(".json")))
    gpt.mkdir()
    tree = json.loads(gpt.with_suffix(".json").read_text())
    (gpt / "tokenizer.json").write_text(json.dumps(tree).replace("<s>", "<|a|>").replace("<pad>", "<|b|>")
        .replace("</s>", "<|endoftext|>").replace("<unk>", "<|c|>").replace("<mask>", "<|d|>"))  # fmt: skip
    (gpt / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>", "model_max_length": 1e30}')
    with pytest.raises(UserError, match="pad_token None is not in"):
        Vocabulary.load(gpt)
    existing.write(gpt, folder=tmp_path / "own")
    vocabulary = Vocabulary.load(tmp_path / "own")
    assert {vocabulary.pad_id, vocabulary.sep_id, vocabulary.cls_id, vocabulary.mask_id} == {2}
    (gpt / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError, match="no pad_token, and no eos_token to stand for it"):
        existing.write(gpt, folder=tmp_path / "own")


def test_what_is_refused(tmp_path: Path) -> None:
    unigram = tokenizers.Tokenizer(models.Unigram())
    unigram.train_from_iterator(ENGLISH, trainers.UnigramTrainer(vocab_size=60, show_progress=False))
    config = ExtendedTokenizerConfig(name="extended", checkpoint="base", num_new_tokens=5)
    with pytest.raises(UserError, match="base has a tokenizer of kind Unigram; WordPiece and byte-level BPE"):
        config.extend(unigram, KOREAN)
    with pytest.raises(UserError, match="the train split has no text"):
        config.extend(load_tokenizer(saved(BPE, tmp_path)), ["", ""])


def test_an_old_folder_names_no_special_tokens(tmp_path: Path) -> None:
    """The first folders of BERT and RoBERTa left them to the class of their tokenizer."""
    for config in (WORDPIECE, BPE):
        folder = saved(config, tmp_path / config.name)
        expected = Vocabulary.load(folder)
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
        assert Vocabulary.load(folder) == expected
