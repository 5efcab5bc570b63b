"""Entities in tags, and how many of them two sides share.

`conll`: what conlleval counts (Tjong Kim Sang and De Meulder 2003), and seqeval by default: an `I-` that
continues nothing begins an entity. `strict`: seqeval's strict mode with IOB2, as KLUE scores: such an `I-`
is no entity.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Rule = Literal["conll", "strict"]
Entity = tuple[str, int, int]
"""Type, first unit, unit after the last."""


def entities(tags: Sequence[str], *, rule: Rule) -> set[Entity]:
    """The entities of one sentence's IOB2 tags."""
    found: set[Entity] = set()
    kind, first = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, of = tag.partition("-")
        if kind and not (mark == "I" and of == kind):
            found.add((kind, first, place))
            kind = ""
        if mark == "B" or (mark == "I" and not kind and rule == "conll"):
            kind, first = of, place
    return found


def entity_counts(
    actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, rule: Rule
) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Types, sorted, and counts (N sentences, types, 3): right, actual, predicted entities of each type."""
    pairs = [(entities(a, rule=rule), entities(p, rule=rule)) for a, p in zip(actual, predicted, strict=True)]
    kinds = tuple(sorted({kind for pair in pairs for side in pair for kind, _, _ in side}))
    counts_NTK = np.zeros((len(pairs), len(kinds), 3))
    for row, (of_actual, of_predicted) in enumerate(pairs):
        for column, side in enumerate((of_actual & of_predicted, of_actual, of_predicted)):
            for kind, _, _ in side:
                counts_NTK[row, kinds.index(kind), column] += 1
    return kinds, counts_NTK


def f1(counts: npt.NDArray[np.float64], *, empty: float = 0.0) -> npt.NDArray[np.float64]:
    """F1 of counts (..., 3): right, actual, predicted; `empty` where there is nothing."""
    given = counts[..., 1] + counts[..., 2]
    return np.where(given > 0, 2 * counts[..., 0] / np.where(given > 0, given, 1.0), empty)


def macro_f1(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean F1 over the types that either side has, of counts (..., types, 3), as seqeval's macro average.

    A resample may lack a type: that type then says nothing. 0 without any.
    """
    present = counts[..., 1] + counts[..., 2] > 0
    return np.asarray(np.where(present, f1(counts), 0.0).sum(-1) / np.maximum(present.sum(-1), 1))
