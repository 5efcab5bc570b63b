"""The contract of what classifies: a network on a backbone, built, saved and read, and what it is fed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tokenization import Vocabulary, copy_tokenizer, load_tokenizer
from seedbed.tokenization.folder import TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from seedbed.tasks.encoded import EncodedRows
    from seedbed.tasks.text_learner import TextLearner


def tokenizer_of(folder: Path) -> "tuple[Tokenizer, Vocabulary]":
    """The tokenizer in a folder and what a model knows of it, read again only where the file has changed."""
    file = folder / TOKENIZER
    return _read(folder, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=16)
def _read(folder: Path, changed: int) -> "tuple[Tokenizer, Vocabulary]":
    del changed
    return load_tokenizer(folder), Vocabulary.load(folder)


class NetworkConfig(Strict, ABC):
    """What is read and how it is learned, the task says; a network that reads otherwise says it here."""

    name: str
    heads: ClassVar[frozenset[Head]]
    """What it can give; a recipe that asks for more is refused where it is composed."""
    stands_on: ClassVar[str | None]
    """The network that a backbone must be; None where its tokenizer is all that is taken."""

    @abstractmethod
    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> nn.Module:
        """logits_BC of a text or logits_BLC of its tokens; what is not loaded is a function of `seed`."""

    def finish(self, network: nn.Module) -> None:
        """Make of a trained network, in place, the one that is saved."""
        del network

    @abstractmethod
    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        """Write the network; `labels` names its outputs."""

    @abstractmethod
    def load(self, folder: Path, head: Head) -> nn.Module:
        """The network that `save` wrote."""

    def learner(self, network: nn.Module, task: Task[Any]) -> "TextLearner":
        """What trains the network on the task."""
        return task.learner(network)

    def encode(
        self,
        network: nn.Module,
        task: Task[Any],
        examples: Sequence[Any],
        folder: Path,
        *,
        facts: TaskFacts,
        max_length: int,
    ) -> "EncodedRows":
        """The examples as the network reads them, by the tokenizer in `folder`."""
        del network
        tokenizer, vocabulary = tokenizer_of(folder)
        return task.encode(examples, tokenizer, facts=facts, max_length=max_length, pad_id=vocabulary.pad_id)

    def arrange(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A padded batch of training as the network is to compute it."""
        return batch

    def copy_tokenizer(self, backbone: Path, folder: Path) -> None:
        """Put beside the network the tokenizer that its examples were read by."""
        copy_tokenizer(backbone, folder)

    def positions(self, network: nn.Module) -> int | None:
        """Most tokens of a text; None where any number will do."""
        del network
        return None
