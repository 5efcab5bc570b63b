"""The contract of what classifies: a network on a backbone, built, saved and read, and what it is fed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from seedbed.config import Strict
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tokenization import Vocabulary, load_tokenizer

if TYPE_CHECKING:
    from seedbed.tasks.encoded import EncodedRows
    from seedbed.tasks.text_learner import TextLearner


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
        return task.encode(
            examples,
            load_tokenizer(folder),
            facts=facts,
            max_length=max_length,
            pad_id=Vocabulary.load(folder).pad_id,
        )

    def arrange(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A padded batch of training as the network is to compute it."""
        return batch

    def positions(self, network: nn.Module) -> int | None:
        """Most tokens of a text; None where any number will do."""
        del network
        return None
