"""Small Learners, rows for them, and two half batches that weigh the same.

Apart from the tests, so that a process started to train one imports no more than it needs.
"""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from seedbed.models import EncoderConfig
from seedbed.models.encoder import Family
from seedbed.objectives import (
    MaskedLM,
    MaskedLMConfig,
    ReplacedTokenDetection,
    ReplacedTokenDetectionConfig,
)
from seedbed.objectives.masking import Masker
from tests.models.families import small, vocabulary_of

LENGTH = 20
MASKED_LM = MaskedLMConfig(name="masked_lm")
DETECTION = ReplacedTokenDetectionConfig(name="replaced_token_detection")


def text_rows(family: Family, *, num_rows: int, seed: int = 0, padded: bool = False) -> npt.NDArray[np.int64]:
    """Rows [CLS] text [SEP] without special tokens inside."""
    vocabulary = vocabulary_of(family)
    rows_BL = np.random.default_rng(seed).integers(5, vocabulary.size, (num_rows, LENGTH))
    rows_BL[:, 0] = vocabulary.cls_id
    for row_L, cut in zip(rows_BL, np.arange(num_rows) * 3 % 11 * padded, strict=True):
        row_L[LENGTH - cut - 1] = vocabulary.sep_id
        row_L[LENGTH - cut :] = vocabulary.pad_id
    return rows_BL


def tiny(family: Family, **changes: object) -> EncoderConfig:
    return small(family, num_layers=2, **changes)


def whole_and_halves(
    masker: Masker, rows_BL: npt.NDArray[np.int64]
) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """One batch, and the same rows as two batches with the same masks."""
    half = len(rows_BL) // 2
    return masker(rows_BL, 0, 0), [masker(rows_BL[:half], 0, 0), masker(rows_BL[half:], half, 0)]


def make_roberta() -> MaskedLM:
    return MASKED_LM.build(tiny("roberta"), vocabulary_of("roberta"), seed=1)


def make_electra() -> ReplacedTokenDetection:
    return DETECTION.build(tiny("electra"), vocabulary_of("electra"), seed=1)
