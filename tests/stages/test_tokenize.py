"""The tokenize stage: what it writes, what it never opens, and its one-line faults."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seedbed.config import Machine, UserError
from seedbed.data.shards import TokenStore
from seedbed.stages import tokenize
from seedbed.tokenization import TokenizeRecipe, Vocabulary, load_tokenizer
from seedbed.workspace import Workspace, hash_folder

TEXTS = {
    "train": [
        f"Return the {word} of 한국어 문장 number {n}." for n in range(40) for word in ("name", "part")
    ],
    "valid": ["Return the name.", "한국어 문장", "Return ☃"],
    "test": ["Never to be opened: zebra."],
}


@pytest.fixture
def tracked(track: Callable[[ModuleType], Any]) -> Any:
    return track(tokenize)


def recipe(kind: str = "wordpiece", **changed: Any) -> TokenizeRecipe:
    tokenizer = {"name": kind, "vocab_size": 400} | ({"lowercase": True} if kind == "wordpiece" else {})
    values = {"corpus": "tiny", "tokenizer": tokenizer, "tokens_per_shard": 100, **changed}
    return TokenizeRecipe.parse(values, where="tokenize.tiny-x")


def workspace(root: Path, texts: dict[str, list[str]], *, threads: int = 2) -> Workspace:
    corpus = root / "data/clean/tiny"
    corpus.mkdir(parents=True, exist_ok=True)
    for split, documents in texts.items():
        lines = [
            json.dumps({"id": f"{split}{n}", "text": text, "meta": {}}) for n, text in enumerate(documents)
        ]
        (corpus / f"{split}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    counts = {
        "documents": {split: len(documents) for split, documents in texts.items()},
        "characters": {split: sum(map(len, documents)) for split, documents in texts.items()},
    }
    (corpus / "manifest.json").write_text(json.dumps(counts))
    return Workspace(
        root=root,
        verb="tokenize",
        run="tiny-x",
        machine=Machine(threads=threads),
        out=root / "data/tokens/tiny-x",
        scratch=root / ".scratch",
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={},
        inputs={"preprocess/tiny": corpus},
    )


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_writes_shards_that_spell_the_documents(kind: str, tmp_path: Path, tracked: Any) -> None:
    place = workspace(tmp_path, TEXTS)
    assert tokenize.inputs(recipe(kind)) == [("preprocess", "tiny")]
    tokenize.run(place, recipe(kind))
    tokenizer, vocabulary = load_tokenizer(place.out / "tokenizer"), Vocabulary.load(place.out / "tokenizer")
    for split in ("train", "valid"):
        store = TokenStore.open(place.out, split)
        stream = store.read(0, store.num_tokens).tolist()
        expected = []
        for text in TEXTS[split]:
            expected += [*tokenizer.encode(text, add_special_tokens=False).ids, vocabulary.sep_id]
        assert stream == expected and store.num_documents == len(TEXTS[split])
        assert store.vocab_size == vocabulary.size and store.separator_id == vocabulary.sep_id
    manifest = json.loads((place.out / "manifest.json").read_text())
    assert manifest["vocab_size"] == vocabulary.size <= manifest["vocab_size_asked"] == 400
    assert manifest["splits"]["valid"]["unknown_tokens"] == (kind == "wordpiece")
    assert len(manifest["splits"]["train"]["shards"]) > 1
    assert tracked.metrics["train/tokens"] == manifest["splits"]["train"]["tokens"]
    assert tracked.metrics["vocab_size"] == vocabulary.size


def test_bytes_repeat_and_ignore_threads(tmp_path: Path, tracked: Any) -> None:
    hashes = set()
    for threads in (1, 2):
        place = workspace(tmp_path / str(threads), TEXTS, threads=threads)
        tokenize.run(place, recipe())
        hashes.add(hash_folder(place.out))
    assert len(hashes) == 1


def test_the_test_split_is_not_needed(tmp_path: Path, tracked: Any) -> None:
    place = workspace(tmp_path, TEXTS)
    (place.input("preprocess", "tiny") / "test.jsonl").unlink()
    tokenize.run(place, recipe())
    assert not (place.out / "test").exists()
    tokens = load_tokenizer(place.out / "tokenizer").get_vocab()
    assert not {"z", "##z"} & set(tokens)


def test_valid_teaches_nothing(tmp_path: Path, tracked: Any) -> None:
    one, other = workspace(tmp_path / "1", TEXTS), workspace(tmp_path / "2", {**TEXTS, "valid": ["☃☃☃ ☃☃☃"]})
    for place in (one, other):
        tokenize.run(place, recipe())
    assert hash_folder(one.out / "tokenizer") == hash_folder(other.out / "tokenizer")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({**TEXTS, "train": []}, "the train split has no documents"),
        ({**TEXTS, "valid": []}, "the valid split has no documents"),
        ({**TEXTS, "train": [" "]}, "no text to learn from"),
    ],
)
def test_empty_corpora_leave_nothing_behind(
    texts: dict[str, list[str]], message: str, tmp_path: Path, tracked: Any
) -> None:
    place = workspace(tmp_path, texts)
    with pytest.raises(UserError, match=message):
        tokenize.run(place, recipe())
    assert not place.out.parent.exists() or not list(place.out.parent.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokenizer": {"name": "unigram"}}, r"tokenize\.tiny-x\.tokenizer: .*'wordpiece', 'byte_level_bpe'"),
        (
            {"tokenizer": {"name": "byte_level_bpe", "vocab_size": 100}},
            "vocab_size.*equal to 261",
        ),
        ({"shards": 3}, r"tokenize\.tiny-x\.shards: unknown key"),
    ],
)
def test_faulty_recipes(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(**changed)


def test_conf_composes() -> None:
    import hydra
    from omegaconf import OmegaConf

    conf = Path(__file__).parents[2] / "conf"
    for path in sorted((conf / "tokenize").glob("[!_]*.yaml")):
        with hydra.initialize_config_dir(str(conf), version_base=None):
            composed = OmegaConf.to_container(hydra.compose(f"tokenize/{path.stem}"))
        assert isinstance(composed, dict)
        made = TokenizeRecipe.parse(composed["tokenize"], where=f"tokenize.{path.stem}")
        assert made.tokenizer.vocab_size == (65536 if path.stem.endswith("64k") else 8192)


def test_a_large_corpus_teaches_by_every_kth_document(tmp_path: Path, tracked: Any) -> None:
    texts = {**TEXTS, "train": ["alpha beta", "gamma delta", "alpha beta", "gamma delta"] * 20}
    space = workspace(tmp_path, texts)
    total = sum(map(len, texts["train"]))
    tokenize.run(space, recipe(learn_characters=-(-total // 2)))
    assert json.loads((space.out / "manifest.json").read_text())["learned_from_every"] == 2
    vocabulary = json.loads((space.out / "tokenizer/tokenizer.json").read_text())["model"]["vocab"]
    assert "alpha" in vocabulary and "gamma" not in vocabulary
    assert TokenStore.open(space.out, "train").num_documents == 80


def test_a_checkpoints_tokenizer_as_it_is_and_extended(tmp_path: Path, tracked: Any) -> None:
    english = {split: [text for text in texts if text.isascii()] for split, texts in TEXTS.items()}
    english["train"] = [text.replace("한국어 문장 ", "") for text in TEXTS["train"]]
    base = workspace(tmp_path / "base", {**TEXTS, "train": english["train"]})
    tokenize.run(base, recipe())
    folder = base.out / "tokenizer"
    place = workspace(tmp_path, TEXTS)
    for kind, new in (("existing", {}), ("extended", {"num_new_tokens": 7})):
        given = recipe(tokenizer={"name": kind, "checkpoint": "theirs", **new})
        names = ("tokenizer.json", "tokenizer_config.json")
        assert tokenize.inputs(given)[1:] == [("pretrain", f"theirs/{name}") for name in names]
        files = {f"pretrain/theirs/{name}": folder / name for name in names}
        found = replace(place, out=tmp_path / kind, inputs={**place.inputs, **files})
        tokenize.run(found, given)
    existing, extended = (
        json.loads((tmp_path / k / "manifest.json").read_text()) for k in ("existing", "extended")
    )
    sizes = [Vocabulary.load(tmp_path / kind / "tokenizer").size for kind in ("existing", "extended")]
    assert sizes[1] - sizes[0] == extended["extended"]["new_tokens"] == 7
    before = extended["extended"]["valid_unknown_tokens_before"]
    assert (
        before
        == existing["splits"]["valid"]["unknown_tokens"]
        == tracked.metrics["extended/valid_unknown_tokens_before"]
    )
    assert extended["splits"]["valid"]["unknown_tokens"] == 1 < before  # the snowman is in no train text
