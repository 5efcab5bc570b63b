"""Preprocessing: documents in, documents out, every drop counted by reason."""

from seedbed.config import Strict
from seedbed.corpora import Reader
from seedbed.preprocessing.deduplicate import Deduplication
from seedbed.preprocessing.filters import LengthFilter, RepetitionFilter
from seedbed.preprocessing.normalise import Normalisation
from seedbed.preprocessing.pipeline import Counts, Preprocessing
from seedbed.preprocessing.split import Splitting


class PreprocessRecipe(Strict):
    """One entry of `preprocess` in params.lock.yaml."""

    source: str
    reader: Reader
    normalisation: Normalisation
    length: LengthFilter
    repetition: RepetitionFilter | None
    deduplication: Deduplication
    split: Splitting

    def build(self, where: str) -> Preprocessing:
        """The pass over the corpus; bounds that contradict each other are refused here."""
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
