"""Slices: the same predictions by length, script and unknown pieces; and the errors, with their texts.

A model that is good on average may fail on what is long, Korean, or spelled in pieces it never saw.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.evaluation import classification
from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import Estimate

LENGTHS = ("short", "middle", "long")
SCRIPTS = ("Hangul", "Hangul and others", "other letters", "no letters")
UNKNOWNS = ("no unknown piece", "unknown pieces")
MOST_CHARACTERS = 400
"""An error's text is cut here, with a mark that says so."""


@dataclass(frozen=True)
class Text:
    """A test example as it was put to the model."""

    text: str
    pair: str | None = None

    @property
    def whole(self) -> str:
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"


@dataclass(frozen=True)
class TextSlice:
    """Accuracy of a run on the examples of one `name` of a `kind` (length, script, unknown pieces)."""

    kind: str
    name: str
    accuracy: Estimate


@dataclass(frozen=True)
class Error:
    """An example that most seeds got wrong."""

    id: str
    label: str
    predicted: str
    wrong: int
    """Seeds that were wrong; `predicted` is what most of those said."""
    seeds: int
    text: Text


def script(text: str) -> str:
    """One of SCRIPTS. Hangul: over nine letters in ten are, decomposed syllables counted as composed."""
    letters = [c for c in unicodedata.normalize("NFC", text) if c.isalpha()]
    if not letters:
        return SCRIPTS[3]
    share = sum("HANGUL" in unicodedata.name(c, "") for c in letters) / len(letters)
    return SCRIPTS[0] if share > 0.9 else SCRIPTS[1] if share > 0 else SCRIPTS[2]


def named(texts: Sequence[Text], unknown_N: Sequence[float]) -> dict[str, list[str]]:
    """Kind -> the name of each example's slice. Lengths are thirds of the split, in composed characters."""
    sizes = np.array([len(unicodedata.normalize("NFC", text.whole)) for text in texts])
    edges = np.quantile(sizes, [1 / 3, 2 / 3])
    places = np.searchsorted(edges, sizes, side="left")
    bounds = [0, *(int(edge) for edge in edges), int(sizes.max())]
    lengths = [
        f"{name} ({bounds[i] + (i > 0)} to {bounds[i + 1]} characters)" for i, name in enumerate(LENGTHS)
    ]
    return {
        "length": [lengths[place] for place in places],
        "script": [script(text.whole) for text in texts],
        "unknown pieces": [UNKNOWNS[share > 0] for share in unknown_N],
    }


def slices(
    run: Classified,
    texts: Mapping[str, Text],
    unknown: Mapping[str, float],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[TextSlice]:
    """Accuracy on every slice that holds an example; a kind of a single slice says nothing new."""
    found = []
    for kind, names in named([texts[i] for i in run.ids], [unknown[i] for i in run.ids]).items():
        groups = sorted(set(names), key=lambda name: min(i for i, n in enumerate(names) if n == name))
        for group in sorted(groups, key=_order) if len(groups) > 1 else []:
            part = run.subset([i for i, name in enumerate(names) if name == group])
            draws = classification.draw(part, resamples=resamples, seed=seed)
            scores = classification.score(part, draws, confidence=confidence, seed=seed)
            found.append(TextSlice(kind, group, scores["accuracy"]))
    return found


def _order(name: str) -> int:
    known = [*LENGTHS, *SCRIPTS, *UNKNOWNS]
    return next((i for i, k in enumerate(known) if name == k or name.startswith(f"{k} (")), len(known))


def errors(run: Classified, texts: Mapping[str, Text]) -> list[Error]:
    """The examples that more than half of the seeds got wrong, those that all did first."""
    wrong_N = (run.predicted_SN != run.labels_N).sum(axis=0)
    found = []
    for i in np.flatnonzero(2 * wrong_N > len(run.seeds)):
        guesses = [int(p) for p in run.predicted_SN[:, i] if p != run.labels_N[i]]
        most = max(sorted(set(guesses)), key=guesses.count)
        found.append(
            Error(
                id=run.ids[i],
                label=run.label_names[run.labels_N[i]],
                predicted=run.label_names[most],
                wrong=int(wrong_N[i]),
                seeds=len(run.seeds),
                text=texts[run.ids[i]],
            )
        )
    return sorted(found, key=lambda error: (-error.wrong, error.id))


def shown(text: str) -> str:
    """A text for a table: one line of at most MOST_CHARACTERS, controls and directional marks visible."""
    line = " ".join(text.split())
    hidden = {"Cc", "Cf", "Co", "Cs"}
    # the joiners of emoji and of Indic scripts are part of what people read
    line = "".join(
        c if unicodedata.category(c) not in hidden or c in "\u200c\u200d" else f"\\u{ord(c):04x}"
        for c in line
    )
    return line if len(line) <= MOST_CHARACTERS else line[:MOST_CHARACTERS] + " …"
