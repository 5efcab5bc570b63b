"""Examples as token ids, and the order in which training presents them.

Shapes: B examples of a batch, L positions of its longest.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.data.randomness import shuffled
from seedbed.tasks.examples import Example
from seedbed.tokenization import encode_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Labels = npt.NDArray[np.int64] | npt.NDArray[np.float64]
VALID_BATCH_TOKENS = 8192
"""Positions scored at once; fixed, because a batch's shape can change the last bits of a score."""


@dataclass(frozen=True, kw_only=True)
class EncodedRows(ABC):
    """Ids and type ids of every row with special tokens, cut to the recipe's `max_length`.

    A row is an example, but where a task cuts one into several.
    """

    ids: list[npt.NDArray[np.int64]]
    type_ids: list[npt.NDArray[np.int64]]
    pad_id: int
    cut: frozenset[int] = frozenset()
    """The numbers of the examples, not of their rows, that are not read as a whole."""

    @abstractmethod
    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        """What is to be learned of the chosen rows, first axis rows, in a batch of `length` positions."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def of_task(self) -> "EncodedRows":
        """The rows as the task encoded them, where a network reads more than these."""
        return self

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)

    def collate(self, chosen: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        """The chosen examples as one batch, padded to the longest of them."""
        longest = max(len(self.ids[number]) for number in chosen)
        ids_BL = np.full((len(chosen), longest), self.pad_id, dtype=np.int64)
        types_BL = np.zeros_like(ids_BL)
        mask_BL = np.zeros_like(ids_BL)
        for row, number in enumerate(chosen):
            length = len(self.ids[number])
            ids_BL[row, :length] = self.ids[number]
            types_BL[row, :length] = self.type_ids[number]
            mask_BL[row, :length] = 1
        return {
            "input_ids": torch.from_numpy(ids_BL),
            "attention_mask": torch.from_numpy(mask_BL),
            "token_type_ids": torch.from_numpy(types_BL),
            "labels": torch.from_numpy(self.labels_of(chosen, longest)),
        }

    def by_length(self) -> list[npt.NDArray[np.int64]]:
        """All examples by number, in batches of like length of at most VALID_BATCH_TOKENS positions."""
        lengths = self.lengths
        batches: list[npt.NDArray[np.int64]] = []
        batch: list[int] = []
        for number in np.argsort(lengths, kind="stable"):
            if batch and (len(batch) + 1) * int(lengths[number]) > VALID_BATCH_TOKENS:
                batches.append(np.array(batch, dtype=np.int64))
                batch = []
            batch.append(int(number))
        return [*batches, np.array(batch, dtype=np.int64)] if batch else batches

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Every example once, for scoring."""
        for chosen in self.by_length():
            yield self.collate(chosen)


@dataclass(frozen=True, kw_only=True)
class EncodedExamples(EncodedRows):
    """Texts or pairs of texts, each with one label: a number of whatever kind, or a row of numbers."""

    labels: Labels

    @classmethod
    def encode(
        cls, examples: Sequence[Example], tokenizer: "Tokenizer", *, max_length: int, pad_id: int
    ) -> "EncodedExamples":
        labels_N = np.array([example.label for example in examples], dtype=np.int64)
        texts = [(example.text, example.pair) for example in examples]
        return cls.of_texts(texts, labels_N, tokenizer, max_length=max_length, pad_id=pad_id)

    @classmethod
    def of_texts(
        cls,
        texts: Sequence[tuple[str, str | None]],
        labels: Labels,
        tokenizer: "Tokenizer",
        *,
        max_length: int,
        pad_id: int,
    ) -> "EncodedExamples":
        """Texts, or pairs of texts, whose labels are numbers of whatever kind."""
        pairs = [pair for _, pair in texts if pair is not None]
        assert len(pairs) in (0, len(texts)), "a task makes texts or pairs, not both"
        encoded = encode_texts(tokenizer, [text for text, _ in texts], pairs or None, max_length=max_length)
        return cls(
            ids=[np.array(one.ids, dtype=np.int64) for one in encoded],
            type_ids=[np.array(one.type_ids, dtype=np.int64) for one in encoded],
            labels=labels,
            pad_id=pad_id,
            cut=frozenset(number for number, one in enumerate(encoded) if one.cut),
        )

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        del length
        return self.labels[chosen]


class ExamplePresentations:
    """Training order: a fresh permutation each epoch, sorted by length inside a step.

    Sorting within the step leaves its gradient as it is and gives every micro-batch rows of like length.
    """

    def __init__(
        self,
        examples: EncodedRows,
        *,
        global_batch_size: int,
        seed: int,
        arrange: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    ) -> None:
        """`arrange` says how a padded batch is computed; it changes no example of it."""
        self._examples, self._arrange = examples, arrange
        self._lengths = examples.lengths
        self._global_batch_size, self._seed = global_batch_size, seed

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count)."""
        return self._arrange(self._examples.collate(self._order(first, count)))

    def names(self, first: int, count: int) -> list[str]:
        return [f"example {number}" for number in self._order(first, count)]

    def _order(self, first: int, count: int) -> npt.NDArray[np.int64]:
        size = self._global_batch_size
        served = [
            self._step(step)[max(first - step * size, 0) : first + count - step * size]
            for step in range(first // size, (first + count - 1) // size + 1)
        ]
        return np.concatenate(served)

    def _step(self, step: int) -> npt.NDArray[np.int64]:
        size = self._global_batch_size
        presentations = np.arange(step * size, (step + 1) * size, dtype=np.int64)
        served = shuffled(presentations, len(self._examples), self._seed)
        return served[np.argsort(self._lengths[served], kind="stable")]
