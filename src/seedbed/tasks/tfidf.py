"""TF-IDF with logistic regression over the backbone's tokens: the baseline a small corpus must beat.

Weights as scikit-learn's TfidfTransformer with `sublinear_tf`, `smooth_idf` and L2 norm. Stored as
safetensors and JSON. Shapes: N examples, K n-grams, C classes.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from seedbed.config import Strict, UserError
from seedbed.tasks.examples import Example
from seedbed.tokenization import encode_batch
from seedbed.weights import write_weights
from seedbed.workspace import write_json

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from tokenizers import Tokenizer

Gram = tuple[int, ...]
"""The part of the pair it comes from (0 a single or first text, 1 the second, 2 both), then token ids."""
WEIGHTS, CONFIG = "tfidf.safetensors", "tfidf.json"
ABSENT = -1
FIRST, SECOND, SHARED = 0, 1, 2


def grams(first: Sequence[int], second: Sequence[int] | None, *, most: int) -> Counter[Gram]:
    """Counts of the n-grams of 1 to `most` tokens.

    A pair has those of each part apart, and those that both parts have once more: without them a linear
    model could say nothing about how the parts belong together.
    """
    counts = Counter(_of(first, most, FIRST))
    if second is not None:
        counts += Counter(_of(second, most, SECOND))
        shared = set(_of(first, most, SHARED)) & set(_of(second, most, SHARED))
        counts += Counter(dict.fromkeys(shared, 1))
    return counts


def _of(ids: Sequence[int], most: int, part: int) -> list[Gram]:
    return [(part, *ids[start : start + n]) for n in range(1, most + 1) for start in range(len(ids) - n + 1)]


@dataclass(frozen=True)
class TfidfClassifier:
    """A fitted baseline."""

    vocabulary: dict[Gram, int]
    idf_K: npt.NDArray[np.float64]
    weights_CK: npt.NDArray[np.float64]
    bias_C: npt.NDArray[np.float64]
    max_ngram: int

    def probabilities(self, examples: Sequence[Example], tokenizer: "Tokenizer") -> npt.NDArray[np.float64]:
        """probabilities_NC."""
        counts = _counts(examples, tokenizer, most=self.max_ngram)
        logits_NC = _weigh(counts, self.vocabulary, self.idf_K) @ self.weights_CK.T + self.bias_C
        grown_NC = np.exp(logits_NC - logits_NC.max(1, keepdims=True))
        return np.asarray(grown_NC / grown_NC.sum(1, keepdims=True), dtype=np.float64)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        grams_KG = np.full((len(self.vocabulary), 1 + self.max_ngram), ABSENT, dtype=np.int32)
        for gram, column in self.vocabulary.items():
            grams_KG[column, : len(gram)] = gram
        arrays = {"grams": grams_KG, "idf": self.idf_K, "weights": self.weights_CK, "bias": self.bias_C}
        write_weights(folder / WEIGHTS, {name: torch.from_numpy(array) for name, array in arrays.items()})
        write_json(folder / CONFIG, {"model_type": "tfidf", "max_ngram": self.max_ngram})

    @classmethod
    def load(cls, folder: Path) -> "TfidfClassifier":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / WEIGHTS)
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            max_ngram = int(config["max_ngram"])
            rows = tensors["grams"].tolist()
            parts = (tensors["idf"], tensors["weights"], tensors["bias"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder / WEIGHTS}: no TF-IDF classifier ({error}); make it with `dvc repro finetune`"
            ) from None
        vocabulary = {tuple(id for id in row if id != ABSENT): column for column, row in enumerate(rows)}
        return cls(vocabulary, *parts, max_ngram=max_ngram)


class TfidfConfig(Strict):
    """No chance is in it: one seed is enough."""

    name: Literal["tfidf"]
    max_ngram: int = Field(2, ge=1, description="longest n-gram in tokens")
    regularisation: float = Field(10.0, gt=0, description="scikit-learn's C: larger fits closer")

    stands_on: ClassVar[str | None] = None

    def fit(self, examples: Sequence[Example], tokenizer: "Tokenizer", *, num_labels: int) -> TfidfClassifier:
        """Learn from every token of the examples, uncut."""
        from sklearn.linear_model import LogisticRegression

        counts = _counts(examples, tokenizer, most=self.max_ngram)
        documents = Counter(gram for count in counts for gram in count)
        vocabulary = {gram: column for column, gram in enumerate(sorted(documents))}
        found_K = np.array([documents[gram] for gram in vocabulary], dtype=np.float64)
        idf_K = np.log((1 + len(counts)) / (1 + found_K)) + 1
        model = LogisticRegression(C=self.regularisation, max_iter=2000)
        model.fit(_weigh(counts, vocabulary, idf_K), [example.label for example in examples])
        weights, bias = model.coef_, model.intercept_
        if num_labels == 2:  # scikit-learn keeps one row for two classes
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        assert len(bias) == num_labels, "every label has a train example: see ClassificationTask.check"
        return TfidfClassifier(
            vocabulary, idf_K, np.ascontiguousarray(weights), np.ascontiguousarray(bias), self.max_ngram
        )


def _counts(examples: Sequence[Example], tokenizer: "Tokenizer", *, most: int) -> list[Counter[Gram]]:
    firsts = encode_batch(tokenizer, [example.text for example in examples])
    seconds: Sequence[list[int] | None] = [None] * len(firsts)
    if examples and examples[0].pair is not None:
        seconds = list(encode_batch(tokenizer, [example.pair or "" for example in examples]))
    return [grams(first, second, most=most) for first, second in zip(firsts, seconds, strict=True)]


def _weigh(
    counts: Sequence[Counter[Gram]], vocabulary: dict[Gram, int], idf_K: npt.NDArray[np.float64]
) -> "csr_matrix":
    """(1 + ln count) * idf, each row of length 1; n-grams outside the vocabulary count nothing."""
    from scipy.sparse import csr_matrix

    columns, values, ends = [], [], [0]
    for count in counts:
        known = sorted((vocabulary[gram], number) for gram, number in count.items() if gram in vocabulary)
        column = np.array([place for place, _ in known], dtype=np.int64)
        weight = (1 + np.log(np.array([number for _, number in known], dtype=np.float64))) * idf_K[column]
        columns.append(column)
        values.append(weight / max(float(np.sqrt(weight @ weight)), 1e-300))
        ends.append(ends[-1] + len(known))
    joined = (np.concatenate(values), np.concatenate(columns), np.array(ends))
    return csr_matrix(joined, shape=(len(counts), len(vocabulary)))
