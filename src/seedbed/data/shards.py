"""Token shards: raw little-endian ids on disk, written as a stream and read through memory maps.

    manifest.json           dtype, counts, tokenizer hash, and size and sha256 of every file
    <split>/00000.bin       uint16 or uint32 ids; every shard but the last holds tokens_per_shard of them
    <split>/00000.ends      uint64 positions in this shard just behind each document that ends here

Each document is followed by the separator token, which its end counts in. Documents run on from shard
to shard, so a stream position is found by division.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from seedbed.config import UserError
from seedbed.workspace import hash_file, write_json

MANIFEST = "manifest.json"
_FORMAT = 1
_DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
_ENDS: np.dtype[Any] = np.dtype("<u8")


def dtype_name(vocab_size: int) -> str:
    """The smallest type that holds every id below `vocab_size`."""
    return "uint16" if vocab_size <= 2**16 else "uint32"


class ShardWriter:
    """Writes one split; use as a context manager, then ask `facts()` for the manifest's entry."""

    def __init__(
        self, folder: Path, *, split: str, vocab_size: int, separator_id: int, tokens_per_shard: int
    ) -> None:
        self._folder, self._split = folder, split
        self._dtype = _DTYPES[dtype_name(vocab_size)]
        self._vocab_size, self._separator_id = vocab_size, separator_id
        self._tokens_per_shard = tokens_per_shard
        self._shards: list[dict[str, Any]] = []
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        self._num_tokens = self._num_documents = 0
        (folder / split).mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, ids_T: npt.NDArray[np.uint32], lengths_D: npt.NDArray[np.int64]) -> None:
        """Append documents given end to end, `lengths_D` ids each, without separators."""
        assert int(lengths_D.sum()) == len(ids_T)
        assert len(ids_T) == 0 or int(ids_T.max()) < self._vocab_size
        stream_T = np.insert(ids_T, np.cumsum(lengths_D), self._separator_id).astype(self._dtype)
        ends_D = self._num_tokens + np.cumsum(lengths_D + 1)
        done = 0
        while done < len(stream_T):
            shard, used = divmod(self._num_tokens, self._tokens_per_shard)
            if shard == len(self._shards):
                self._open_next()
            part_T = stream_T[done : done + self._tokens_per_shard - used]
            done += len(part_T)
            self._num_tokens += len(part_T)
            start = shard * self._tokens_per_shard
            here_D = ends_D[(ends_D > start + used) & (ends_D <= start + used + len(part_T))] - start
            self._append(part_T, here_D.astype(_ENDS))
        self._num_documents += len(lengths_D)

    def facts(self) -> dict[str, Any]:
        """Counts and files; closes the last shard."""
        self._close()
        return {"tokens": self._num_tokens, "documents": self._num_documents, "shards": self._shards}

    def _open_next(self) -> None:
        self._close()
        stem = f"{self._split}/{len(self._shards):05d}"
        names = {"ids": f"{stem}.bin", "ends": f"{stem}.ends"}
        self._hashes = (hashlib.sha256(), hashlib.sha256())
        self._files = ((self._folder / names["ids"]).open("wb"), (self._folder / names["ends"]).open("wb"))
        self._shards.append({"tokens": 0, "documents": 0, **names})

    def _append(self, part_T: npt.NDArray[Any], ends_D: npt.NDArray[Any]) -> None:
        assert self._files is not None
        for file, digest, values in zip(self._files, self._hashes, (part_T, ends_D), strict=True):
            data = values.tobytes()
            digest.update(data)
            file.write(data)
        self._shards[-1]["tokens"] += len(part_T)
        self._shards[-1]["documents"] += len(ends_D)

    def _close(self) -> None:
        if self._files is None:
            return
        files, self._files = self._files, None
        for name, file, digest in zip(("ids", "ends"), files, self._hashes, strict=True):
            file.close()
            self._shards[-1][f"{name}_sha256"] = digest.hexdigest()


def write_manifest(
    folder: Path,
    *,
    vocab_size: int,
    separator_id: int,
    tokens_per_shard: int,
    tokenizer_file: Path,
    splits: dict[str, dict[str, Any]],
    facts: dict[str, Any],
) -> None:
    """Describe the splits of one folder; `facts` are further counts a reader may care about."""
    write_json(
        folder / MANIFEST,
        {
            **facts,
            "format": _FORMAT,
            "dtype": dtype_name(vocab_size),
            "vocab_size": vocab_size,
            "separator_id": separator_id,
            "tokens_per_shard": tokens_per_shard,
            "tokenizer": tokenizer_file.relative_to(folder).as_posix(),
            "tokenizer_sha256": hash_file(tokenizer_file),
            "splits": splits,
        },
    )


class TokenStore:
    """One split, mapped into memory: `read` any stretch of its stream."""

    def __init__(self, folder: Path, split: str, *, verify: bool = True) -> None:
        """Open and check: sizes always, every file's sha256 unless `verify` is false."""
        self.folder, self.split = folder, split
        manifest = _load_manifest(folder)
        if split not in manifest["splits"]:
            known = ", ".join(sorted(manifest["splits"]))
            raise UserError(f"{folder}: no split {split!r}; choose one of {known}")
        described = manifest["splits"][split]
        self.num_tokens: int = described["tokens"]
        self.num_documents: int = described["documents"]
        self.vocab_size: int = manifest["vocab_size"]
        self.separator_id: int = manifest["separator_id"]
        self._tokens_per_shard: int = manifest["tokens_per_shard"]
        dtype = _DTYPES[manifest["dtype"]]
        files = [
            (shard[key], shard[counted], kind.itemsize, shard[f"{key}_sha256"])
            for shard in described["shards"]
            for key, counted, kind in (("ids", "tokens", dtype), ("ends", "documents", _ENDS))
        ]
        for name, count, itemsize, _ in files:
            _check_size(folder, name, count * itemsize)
        if verify:
            hashes = [(name, expected) for name, _, _, expected in files]
            for name, expected in [(manifest["tokenizer"], manifest["tokenizer_sha256"]), *hashes]:
                _check_hash(folder, name, expected)
        self._ids = [_map(folder / shard["ids"], dtype) for shard in described["shards"]]
        self._ends = [_map(folder / shard["ends"], _ENDS) for shard in described["shards"]]

    @classmethod
    def open(cls, folder: Path, split: str, *, verify: bool = True) -> Self:
        return cls(folder, split, verify=verify)

    def __reduce__(self) -> tuple[Any, ...]:
        # to a loader's worker goes the place, not the bytes; the parent has verified them
        return _reopen, (self.folder, self.split)

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Stream tokens [start, stop)."""
        assert 0 <= start <= stop <= self.num_tokens
        ids_T = np.empty(stop - start, dtype=np.int64)
        position = start
        while position < stop:
            shard, offset = divmod(position, self._tokens_per_shard)
            part_T = self._ids[shard][offset : offset + stop - position]
            ids_T[position - start : position - start + len(part_T)] = part_T
            position += len(part_T)
        return ids_T

    def document_ends(self) -> Iterable[npt.NDArray[np.int64]]:
        """Per shard, stream positions just behind each document (and its separator)."""
        for shard, ends_D in enumerate(self._ends):
            yield ends_D.astype(np.int64) + shard * self._tokens_per_shard


def _reopen(folder: Path, split: str) -> TokenStore:
    return TokenStore(folder, split, verify=False)


def _load_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {_remedy(folder)}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; {_remedy(folder)}") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != _FORMAT:
        raise UserError(
            f"{path}: token shards of format {found}, this version reads {_FORMAT}; {_remedy(folder)}"
        )
    return dict(manifest)


def _check_size(folder: Path, name: str, expected: int) -> None:
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path}: no such file, {expected} bytes expected; {_remedy(folder)}")
    found = path.stat().st_size
    if found != expected:
        raise UserError(f"{path}: {found} bytes, expected {expected}; {_remedy(folder)}")


def _check_hash(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    found = hash_file(path) if path.is_file() else "no file"
    if found != expected:
        raise UserError(
            f"{path}: content is damaged: sha256 expected {expected}, found {found}; {_remedy(folder)}"
        )


def _map(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    # an empty file cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)


def _remedy(folder: Path) -> str:
    return f"rerun `dvc repro tokenize@{folder.name}`"
