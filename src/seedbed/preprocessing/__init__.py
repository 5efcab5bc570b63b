"""Preprocessing: documents in, documents out, every drop counted by reason."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from seedbed.config import Strict
from seedbed.corpora import Reader
from seedbed.preprocessing.deduplicate import Deduplication
from seedbed.preprocessing.filters import LengthFilter, RepetitionFilter
from seedbed.preprocessing.normalise import Normalisation
from seedbed.preprocessing.pipeline import Counts, Preprocessing
from seedbed.preprocessing.split import PublishedSplitConfig, Splitting


def _split_tag(value: object) -> str:
    """A split without a name is by hash, as every corpus of plain text has it."""
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return "hashed" if name is None else "published"


Split = Annotated[
    Annotated[Splitting, Tag("hashed")] | Annotated[PublishedSplitConfig, Tag("published")],
    Discriminator(_split_tag),
]


class PreprocessRecipe(Strict):
    """One entry of `preprocess` in params.lock.yaml."""

    source: str
    reader: Reader
    normalisation: Normalisation | None = Field(description="null leaves every text as it was published")
    length: LengthFilter | None
    repetition: RepetitionFilter | None
    deduplication: Deduplication
    split: Split

    def build(self, where: str) -> Preprocessing:
        """The pass over the corpus; bounds that contradict each other are refused here."""
        if self.length is not None:
            self.length.validate_bounds(where)
        self.split.check(where)
        return Preprocessing(
            normalisation=self.normalisation,
            length=self.length,
            repetition=self.repetition,
            deduplication=self.deduplication,
            split=self.split,
        )


__all__ = ["Counts", "PreprocessRecipe", "Preprocessing"]
