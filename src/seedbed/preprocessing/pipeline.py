"""One pass over a corpus: normalise, filter, deduplicate, split, write."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from seedbed.config import UserError
from seedbed.corpora.base import SPLITS, Document, Split, encode_document
from seedbed.preprocessing.deduplicate import Deduplication, DigestSet, text_digest
from seedbed.preprocessing.filters import LengthFilter, Reason, RepetitionFilter
from seedbed.preprocessing.normalise import Normalisation
from seedbed.preprocessing.split import PublishedSplitConfig, Splitting
from seedbed.workspace import write_json


@dataclass
class Counts:
    """What a pass kept and dropped."""

    read: int = 0
    documents: Counter[Split] = field(default_factory=Counter)
    characters: Counter[Split] = field(default_factory=Counter)
    dropped: Counter[Reason] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    """Documents of train and valid by the licence that their source states, where it states one."""

    def manifest(self) -> dict[str, object]:
        stated = {"licences": dict(sorted(self.licences.items()))} if self.licences else {}
        return {
            **stated,
            "read": self.read,
            "documents": {split: self.documents[split] for split in SPLITS},
            "characters": {split: self.characters[split] for split in SPLITS},
            "dropped": dict(self.dropped),
        }

    def metrics(self) -> dict[str, float]:
        """Flat names for tracking."""
        return {
            "documents/read": float(self.read),
            **{f"{split}/documents": float(self.documents[split]) for split in SPLITS},
            **{f"{split}/characters": float(self.characters[split]) for split in SPLITS},
            **{f"dropped/{name.replace(' ', '_')}": float(n) for name, n in self.dropped.items()},
        }


class Preprocessing:
    """The pieces of a recipe, put to work; one object serves one pass."""

    def __init__(
        self,
        *,
        normalisation: Normalisation | None,
        length: LengthFilter | None,
        repetition: RepetitionFilter | None,
        deduplication: Deduplication,
        split: Splitting | PublishedSplitConfig,
    ) -> None:
        self._normalisation, self._length, self._repetition = normalisation, length, repetition
        self._split = split
        self._seen = DigestSet() if deduplication.exact else None
        self.counts = Counts()

    def apply(self, documents: Iterable[Document]) -> Iterator[tuple[Split, Document]]:
        """The documents that stay, in their order, each with its split; the others are counted."""
        for document in documents:
            self.counts.read += 1
            if self._normalisation is not None:
                document = Document(document.id, self._normalisation.apply(document.text), document.meta)
            reason = self._drop(document.text)
            if reason is not None:
                self.counts.dropped[reason] += 1
                continue
            split = self._split.assign(document)
            self.counts.documents[split] += 1
            if split != "test" and isinstance(licence := document.meta.get("licence"), str):
                self.counts.licences[licence] += 1
            self.counts.characters[split] += len(document.text)
            yield split, document

    def write(self, documents: Iterable[Document], into: Path, *, where: str) -> Counts:
        """Write train.jsonl, valid.jsonl, test.jsonl and manifest.json; an empty split is an error."""
        with ExitStack() as stack:
            files = {split: stack.enter_context((into / f"{split}.jsonl").open("wb")) for split in SPLITS}
            for split, document in self.apply(documents):
                files[split].write(encode_document(document))
        self._require(where)
        write_json(into / "manifest.json", self.counts.manifest())
        return self.counts

    def _drop(self, text: str) -> Reason | None:
        # Duplicates last: the set then holds only texts that could be kept.
        reason = self._length.check(text) if self._length else None
        reason = reason or (self._repetition.check(text) if self._repetition else None)
        if reason is None and self._seen is not None and not self._seen.add(text_digest(text)):
            return "duplicate document"
        return reason

    def _require(self, where: str) -> None:
        counts = self.counts
        kept = sum(counts.documents.values())
        reasons = ", ".join(f"{name} {n}" for name, n in sorted(counts.dropped.items())) or "none"
        if not kept:
            raise UserError(
                f"{where}: empty corpus: {counts.read} documents read, dropped: {reasons}; "
                "check the reader's `files` and `text`, or loosen the filters"
            )
        for split in SPLITS:
            if split in self._split.wanted() and not counts.documents[split]:
                raise UserError(
                    f"{where}: the {split} split is empty: {kept} documents kept, split by "
                    f"{self._split}; raise its share, group more finely or add documents"
                )
