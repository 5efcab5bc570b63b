"""Token shards: bytes on disk, reading across shards, damage."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from seedbed.config import UserError
from seedbed.data.shards import TokenStore, dtype_name
from tests.data.tokens import SEPARATOR, documents_of, stream_of, write


@pytest.mark.parametrize("per_shard", [1, 7, 64, 10**6])
@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_round_trip(tmp_path: Path, per_shard: int, batch: int) -> None:
    documents = documents_of(40)
    store = TokenStore.open(write(tmp_path / "t", documents, per_shard=per_shard, batch=batch), "train")
    stream = stream_of(documents)
    assert store.num_tokens == len(stream) and store.num_documents == 40
    assert store.read(0, len(stream)).tolist() == stream
    generator = np.random.default_rng(1)
    for _ in range(100):
        start, stop = sorted(generator.integers(0, len(stream) + 1, 2).tolist())
        assert store.read(start, stop).tolist() == stream[start:stop]
    ends = np.concatenate(list(store.document_ends()))
    assert ends.tolist() == np.cumsum([len(document) + 1 for document in documents]).tolist()
    sizes = [path.stat().st_size // 2 for path in sorted((tmp_path / "t/train").glob("*.bin"))]
    assert all(size == per_shard for size in sizes[:-1]) and 0 < sizes[-1] <= per_shard


def test_batches_do_not_change_bytes(tmp_path: Path) -> None:
    one, other = (write(tmp_path / str(n), documents_of(30), batch=n) for n in (1, 30))
    for path in one.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()


def test_bytes_on_disk(tmp_path: Path) -> None:
    write(tmp_path, [[5, 6, 7], [8], [], [9, 258]], per_shard=6, vocab_size=300)
    assert (tmp_path / "train/00000.bin").read_bytes() == bytes([5, 0, 6, 0, 7, 0, 3, 0, 8, 0, 3, 0])
    assert (tmp_path / "train/00001.bin").read_bytes() == bytes([3, 0, 9, 0, 2, 1, 3, 0])
    assert np.fromfile(tmp_path / "train/00000.ends", "<u8").tolist() == [4, 6]
    assert np.fromfile(tmp_path / "train/00001.ends", "<u8").tolist() == [1, 4]


@pytest.mark.parametrize(("vocab_size", "name", "width"), [(65536, "uint16", 2), (65537, "uint32", 4)])
def test_type_boundary(tmp_path: Path, vocab_size: int, name: str, width: int) -> None:
    assert dtype_name(vocab_size) == name
    largest = vocab_size - 1
    folder = write(tmp_path, [[largest, 65535, 5]], vocab_size=vocab_size)
    assert (folder / "train/00000.bin").stat().st_size == 4 * width
    assert TokenStore.open(folder, "train").read(0, 4).tolist() == [largest, 65535, 5, SEPARATOR]


@pytest.mark.parametrize("name", ["train/00001.bin", "train/00000.ends", "tokenizer.json"])
def test_one_flipped_byte(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "docs-bpe8k", documents_of(20), per_shard=64)
    path = folder / name
    expected = TokenStore.open(folder, "train") and path.read_bytes()
    path.write_bytes(bytes([expected[0] ^ 1]) + expected[1:])
    with pytest.raises(UserError) as caught:
        TokenStore.open(folder, "train")
    message = str(caught.value)
    assert str(path) in message and "rerun `dvc repro tokenize@docs-bpe8k`" in message
    assert "\n" not in message and len([word for word in message.split() if len(word.strip(",;")) == 64]) == 2
    TokenStore.open(folder, "train", verify=False)


def test_other_damage(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", documents_of(10))
    with pytest.raises(UserError, match="no split 'test'; choose one of train"):
        TokenStore.open(folder, "test")
    shard = folder / "train/00001.bin"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1])
    with pytest.raises(UserError, match=f"{len(data) - 1} bytes, expected {len(data)}"):
        TokenStore.open(folder, "train", verify=False)
    shard.unlink()
    with pytest.raises(UserError, match="no such file"):
        TokenStore.open(folder, "train", verify=False)
    (folder / "manifest.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(UserError, match="format 9, this version reads 1"):
        TokenStore.open(folder, "train")
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"manifest\.json: no such file"):
        TokenStore.open(folder, "train")


def test_pickling_sends_the_place(tmp_path: Path) -> None:
    store = TokenStore.open(write(tmp_path, documents_of(200)), "train")
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert np.array_equal(pickle.loads(data).read(3, 50), store.read(3, 50))  # noqa: S301


def test_nothing_written(tmp_path: Path) -> None:
    store = TokenStore.open(write(tmp_path, []), "train")
    assert store.num_tokens == store.num_documents == 0 and store.read(0, 0).size == 0
