"""Slices: the same predictions by length, script and unknown pieces; and the errors, with their texts.

A model that is good on average may fail on what is long, Korean, or spelled in pieces it never saw.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.evaluation.classification import Classified
from seedbed.evaluation.intervals import Estimate
from seedbed.evaluation.predicted import Predicted, headline

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

    @classmethod
    def of(cls, parts: Sequence[str]) -> "Text":
        """The first text, and all further ones together."""
        return cls(parts[0], "\n".join(parts[1:]) if len(parts) > 1 else None)

    @property
    def whole(self) -> str:
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"


@dataclass(frozen=True)
class TextSlice:
    """A run's official score on the examples of one `name` of a `kind` (length, script, unknown pieces)."""

    kind: str
    name: str
    metric: str
    score: Estimate


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
    run: Predicted,
    texts: Mapping[str, Text],
    unknown: Mapping[str, float],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[TextSlice]:
    """The official score on every slice that holds an example; a kind of a single slice says nothing new."""
    found = []
    for kind, names in named([texts[i] for i in run.ids], [unknown[i] for i in run.ids]).items():
        groups = sorted(set(names), key=lambda name: min(i for i, n in enumerate(names) if n == name))
        for group in sorted(groups, key=_order) if len(groups) > 1 else []:
            part = run.subset([i for i, name in enumerate(names) if name == group])
            estimate = headline(part, confidence=confidence, resamples=resamples, seed=seed)
            found.append(TextSlice(kind, group, run.headline, estimate))
    return found


def _order(name: str) -> int:
    known = [*LENGTHS, *SCRIPTS, *UNKNOWNS]
    return next((i for i, k in enumerate(known) if name == k or name.startswith(f"{k} (")), len(known))


def errors(run: Predicted, texts: Mapping[str, Text]) -> list[Error]:
    """The examples that more than half of the seeds got wrong: first those of most seeds, then furthest."""
    if isinstance(run, Classified):
        labels = [run.label_names[label] for label in run.labels_N]
        answers = [[run.label_names[p] for p in predicted_N] for predicted_N in run.predicted_SN]
        misses_SN = (run.predicted_SN != run.labels_N).astype(np.float64)
    else:
        words = [run.judge.words(part) for part in run.parts]
        labels, answers = words[0][0], [predicted for _, predicted in words]
        misses_SN = np.stack([run.judge.misses(part) for part in run.parts])
    wrong_N, ids = (misses_SN > 0).sum(axis=0), run.ids
    found = []
    for i in np.flatnonzero(2 * wrong_N > len(run.seeds)):
        guesses = [of_seed[i] for of_seed, miss in zip(answers, misses_SN[:, i], strict=True) if miss > 0]
        error = Error(
            id=ids[i],
            label=labels[i],
            predicted=max(sorted(set(guesses)), key=guesses.count),
            wrong=int(wrong_N[i]),
            seeds=len(run.seeds),
            text=texts[ids[i]],
        )
        found.append((-error.wrong, -float(misses_SN[:, i].sum()), error.id, error))
    return [error for *_, error in sorted(found, key=lambda one: one[:3])]


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
