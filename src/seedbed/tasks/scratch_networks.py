"""Networks trained from scratch on the backbone's tokens: what a pretrained encoder must beat.

Of the backbone they take the tokenizer alone. Stored as safetensors and JSON.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed
from seedbed.fidelity import Deviation
from seedbed.models.recurrent import RecurrentClassifier
from seedbed.models.text_cnn import TextCNN
from seedbed.models.window import BinaryWindowClassifier, WindowClassifier
from seedbed.tasks.examples import Head
from seedbed.tasks.network import NetworkConfig
from seedbed.tokenization import Vocabulary
from seedbed.weights import write_weights
from seedbed.workspace import write_json

WEIGHTS, CONFIG = "network.safetensors", "network.json"


class ScratchConfig(NetworkConfig, ABC):
    """What they share: vectors of the vocabulary's tokens, dropout, and a folder of two files."""

    stands_on: ClassVar[str | None] = None
    embedding_size: int = Field(128, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)

    @abstractmethod
    def empty(self, head: Head, *, vocabulary_size: int, num_outputs: int) -> nn.Module:
        """The network, its weights drawn from torch's generator."""

    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> nn.Module:
        size = Vocabulary.load(backbone).size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, self.name))
            return self.empty(head, vocabulary_size=size, num_outputs=num_outputs)

    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = network.state_dict()
        write_weights(folder / WEIGHTS, state)
        sizes = {"vocabulary_size": len(state["token.weight"]), "num_outputs": len(state["out.weight"])}
        write_json(folder / CONFIG, {"model_type": self.name, **sizes, "labels": labels and list(labels)})

    def load(self, folder: Path, head: Head) -> nn.Module:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            written = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            network = self.empty(
                head,
                vocabulary_size=int(written["vocabulary_size"]),
                num_outputs=int(written["num_outputs"]),
            )
            network.load_state_dict(load_file(folder / WEIGHTS))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{folder / WEIGHTS}: no {self.name} of this shape ({reason}); fine-tune it again"
            ) from None
        return network


class TextCNNConfig(ScratchConfig):
    """Kim (2014, arXiv 1408.5882): filters of several widths, each one's greatest value over the text."""

    name: Literal["text_cnn"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence",))
    widths: tuple[int, ...] = Field((3, 4, 5), min_length=1)
    num_filters: int = Field(100, ge=1, description="of each width")

    def empty(self, head: Head, *, vocabulary_size: int, num_outputs: int) -> TextCNN:
        return TextCNN(
            vocabulary_size=vocabulary_size,
            embedding_size=self.embedding_size,
            widths=self.widths,
            num_filters=self.num_filters,
            num_outputs=num_outputs,
            dropout=self.dropout,
        )


class RecurrentConfig(ScratchConfig):
    """A bidirectional RNN, LSTM or GRU over the tokens."""

    name: Literal["recurrent"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence", "tokens", "spans"))
    cell: Literal["rnn", "lstm", "gru"]
    hidden_size: int = Field(128, ge=1, description="of each direction")
    num_layers: int = Field(1, ge=1)
    steps_back: int | None = Field(None, ge=1, description="positions that a gradient goes back; null: all")

    def empty(self, head: Head, *, vocabulary_size: int, num_outputs: int) -> RecurrentClassifier:
        return RecurrentClassifier(
            cell=self.cell,
            vocabulary_size=vocabulary_size,
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            num_outputs=num_outputs,
            dropout=self.dropout,
            steps_back=self.steps_back,
            tokens=head != "sequence",
        )


class OnWindowConfig(ScratchConfig, ABC):
    """Each token from its neighbours: what both forms of CS224N's window classifier share."""

    heads: ClassVar[frozenset[Head]] = frozenset(("tokens",))
    radius: int = Field(2, ge=0, description="neighbours on each side")
    hidden_size: int = Field(128, ge=1)

    def of(self, kind: type[WindowClassifier], *, vocabulary_size: int, num_outputs: int) -> WindowClassifier:
        return kind(
            vocabulary_size=vocabulary_size,
            embedding_size=self.embedding_size,
            radius=self.radius,
            hidden_size=self.hidden_size,
            num_outputs=num_outputs,
            dropout=self.dropout,
        )


class WindowConfig(OnWindowConfig):
    """Each token from its neighbours: the window classifier of Stanford's CS224N, a softmax over the tags."""

    name: Literal["window"]

    def empty(self, head: Head, *, vocabulary_size: int, num_outputs: int) -> WindowClassifier:
        return self.of(WindowClassifier, vocabulary_size=vocabulary_size, num_outputs=num_outputs)


class BinaryWindowConfig(OnWindowConfig):
    """CS224N's window classifier with one score for each token: is it of an entity or not?"""

    name: Literal["window_binary"]

    def empty(self, head: Head, *, vocabulary_size: int, num_outputs: int) -> WindowClassifier:
        """Two tags are asked for; one score is kept."""
        assert num_outputs in (1, 2), num_outputs
        return self.of(BinaryWindowClassifier, vocabulary_size=vocabulary_size, num_outputs=1)


DEVIATIONS = (
    Deviation(
        system="Text CNN",
        theirs="Each filter's weights are kept within a norm of 3; Adadelta; words with word2vec's vectors.",
        ours="No bound on norms, the recipe's optimizer, new vectors of the backbone's pieces (the paper's "
        "CNN-rand).",
        why="Held against a pretrained encoder, a baseline reads the same tokens and has no pretraining.",
        source="Kim 2014, arXiv 1408.5882, sections 2.1 and 3.1",
    ),
    Deviation(
        system="CS224N",
        theirs="One score says whether the window's centre is a place, by a margin between windows or by the "
        "logistic loss; a softmax over classes is the other form.",
        ours="`window_binary`: whether the centre is of an entity of whatever type, by the logistic loss. "
        "`window`: the softmax over all tags.",
        why="A question of each word that every corpus of names answers; whole entities need every tag.",
        source="Stanford CS224N, lecture on word windows; Collobert et al. 2011, section 3.2.1",
    ),
)
