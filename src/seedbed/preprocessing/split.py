"""The split of a corpus: a function of one document alone, so growth moves nothing."""

import hashlib
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.base import SPLITS, Document, Split

_BUCKETS = 1000
_PERSON = b"seedbed-split"
"""Keeps the hash apart from every other use of BLAKE2b on the same text."""


class Splitting(Strict):
    """Shares in permille of groups, in expectation; the rest is train.

    `content` groups by the normalised text; any other name is a key of the documents' meta, whose
    value then decides for all documents that share it (neighbours do not leak across splits). With
    a meta key, a text that occurs in several groups goes where its first occurrence goes.
    """

    group: str = "content"
    valid_permille: int = Field(50, ge=0, le=_BUCKETS)
    test_permille: int = Field(50, ge=0, le=_BUCKETS)

    def check(self, where: str) -> None:
        if self.valid_permille + self.test_permille >= _BUCKETS:
            raise UserError(
                f"{where}.split: valid_permille {self.valid_permille} + test_permille "
                f"{self.test_permille} leave no train; together they must be below {_BUCKETS}"
            )

    def wanted(self) -> frozenset[Split]:
        """The splits that must not be empty."""
        shares = {"train": 1, "valid": self.valid_permille, "test": self.test_permille}
        return frozenset(split for split in SPLITS if shares[split])

    def assign(self, document: Document) -> Split:
        """The split of a document whose text is normalised."""
        bucket = self.bucket(self._key(document))
        if bucket < self.test_permille:
            return "test"
        return "valid" if bucket < self.test_permille + self.valid_permille else "train"

    @staticmethod
    def bucket(key: str) -> int:
        """A number from 0 to 999, uniform over keys."""
        digest = hashlib.blake2b(key.encode("utf-8"), digest_size=8, person=_PERSON).digest()
        return int.from_bytes(digest, "big") * _BUCKETS >> 64

    def _key(self, document: Document) -> str:
        if self.group == "content":
            return document.text
        if self.group not in document.meta:
            known = ", ".join(sorted(document.meta)) or "none"
            raise UserError(
                f"document {document.id}: split.group {self.group!r} is not in its meta (keys: {known}); "
                "name one of them in the reader's `meta` or group by content"
            )
        return document.meta[self.group]


class PublishedSplitConfig(Strict):
    """The publisher's splits, as reader `published` marks them. Nothing ever moves into or out of test.

    Where the publisher names no valid split, `valid_permille` of train become one, by a hash of the text:
    documents that share their text (a premise with several hypotheses) stay together.
    """

    name: Literal["published"]
    valid_permille: int = Field(0, ge=0, lt=_BUCKETS, description="0: the publisher has a valid split")

    def check(self, where: str) -> None:
        """Nothing can contradict."""

    def wanted(self) -> frozenset[Split]:
        return frozenset(SPLITS)

    def assign(self, document: Document) -> Split:
        for split in SPLITS:
            if document.meta.get("split") == split:
                carved = split == "train" and Splitting.bucket(document.text) < self.valid_permille
                return "valid" if carved else split
        raise UserError(f"document {document.id}: its meta names no split; read it with reader `published`")
