"""The split of a corpus: a function of one document alone, so growth moves nothing."""

import hashlib
from typing import Literal

from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.corpora.base import SPLITS, Document, Split
from seedbed.fidelity import Deviation

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


DEVIATIONS = (
    Deviation(
        system="GLUE",
        theirs="Models are chosen on the dev file and scored on a test file whose labels the server keeps.",
        ours="The published dev file is the test split; what a run may look at is a twentieth of train, by a "
        "hash of the text. MRPC keeps all three parts, for its test file has labels.",
        why="A score on the split that chose the model flatters it. Scores here are of the dev files, as "
        "most papers print them, but of runs that were not chosen on them.",
        source="gluebenchmark.com; conf/corpus",
    ),
    Deviation(
        system="GLUE",
        theirs="SST-2's train file holds whole sentences and their phrases; dev holds whole sentences.",
        ours="The carved valid split has phrases whose sentences stand in train, so its accuracy runs ahead "
        "of the test split's: 0.932 against 0.821 for TF-IDF. Compare runs on it, and read no level from it.",
        why="The file does not say which sentence a phrase is of.",
        source="Wang et al. 2018, arXiv 1804.07461, section 3.1",
    ),
    Deviation(
        system="KLUE",
        theirs="Train, dev and a test set that only the leaderboard scores.",
        ours="KLUE-NLI, KLUE-STS and KorQuAD are parted by a hash of their dev file's premise, sentence or "
        "article; KLUE-NER trains on the first 5,000 sentences of train and tests on dev.",
        why="Small sets that anyone can fetch by address and hash. Their scores are not those of papers.",
        source="arXiv 2105.09680; conf/corpus/klue_*.yaml, korquad.yaml",
    ),
)
