"""Answers by the features of a frozen ELMo: labels, numbers and sets of texts and pairs, tags of words.

Peters et al. 2018 (arXiv 1802.05365), sections 3.2 and 3.3. Shapes: B examples, L positions, C characters of
a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed
from seedbed.fidelity import Deviation
from seedbed.learner import Batch
from seedbed.models import (
    ElmoClassifier,
    ElmoClassifierHead,
    load_elmo,
    load_elmo_classifier,
    save_elmo_classifier,
)
from seedbed.tasks.encoded import EncodedRows, Labels
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tasks.network import NetworkConfig, tokenizer_of
from seedbed.tasks.network_learner import NetworkLearner
from seedbed.tokenization import read_words, spell_all


@dataclass(frozen=True, kw_only=True)
class SpelledRows(EncodedRows):
    """A task's rows with every word spelled as it is written, whether the tokenizer knows it or not."""

    rows: EncodedRows
    characters: list[npt.NDArray[np.int16]]
    """Of each row (L, C)."""
    words: list[npt.NDArray[np.bool_]]
    """Of each row (L,): a word, or a mark beside the text."""

    @classmethod
    def spell(
        cls,
        task: Task[Any],
        examples: Sequence[Any],
        folder: Path,
        *,
        facts: TaskFacts,
        max_length: int,
        max_characters: int,
    ) -> Self:
        """By the tokenizer in `folder`, cut to `max_length` words and marks; a row for each example."""
        tokenizer, vocabulary = tokenizer_of(folder)
        if not vocabulary.whole_words:
            raise UserError(
                f"{folder}: its tokens are parts of words, an ELMo reads whole words; "
                "give a backbone pretrained on tokens of a tokenizer word_level"
            )
        rows = task.encode(examples, tokenizer, facts=facts, max_length=max_length, pad_id=vocabulary.pad_id)
        pairs = [pair for example in examples if (pair := getattr(example, "pair", None)) is not None]
        read = read_words(
            tokenizer, [example.text for example in examples], pairs or None, max_length=max_length
        )
        assert [len(words) for words in read] == rows.lengths.tolist(), "rows of something else"
        return cls(
            ids=rows.ids,
            type_ids=rows.type_ids,
            cut=rows.cut,
            pad_id=rows.pad_id,
            rows=rows,
            characters=[spell_all(words, max_characters=max_characters) for words in read],
            words=[np.array([word is not None for word in words]) for words in read],
        )

    @property
    def of_task(self) -> EncodedRows:
        return self.rows

    def labels_of(self, chosen: npt.NDArray[np.int64], length: int) -> Labels:
        return self.rows.labels_of(chosen, length)

    def collate(self, chosen: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        """`characters` (B, L, C), 0 in padding, and `words` (B, L), beside the batch of ids."""
        batch = super().collate(chosen)
        shape = batch["input_ids"].shape
        characters_BLC = np.zeros((*shape, self.characters[0].shape[1]), dtype=np.int16)
        words_BL = np.zeros(shape, dtype=np.bool_)
        for row, number in enumerate(chosen):
            length = len(self.words[number])
            characters_BLC[row, :length] = self.characters[number]
            words_BL[row, :length] = self.words[number]
        return batch | {
            "characters": torch.from_numpy(characters_BLC),
            "words": torch.from_numpy(words_BL),
        }


class ElmoLearner(NetworkLearner):
    """A frozen ELMo with a head; the penalty on the mix's weights is a part of the loss."""

    classifier: ElmoClassifier

    def network_logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self.classifier(batch["characters"], batch["attention_mask"].sum(1), batch["words"])
        return logits

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The penalty is added once a step: each part of it has the share of what it counts."""
        counted, own = next(iter(self.counts(batch).items()))
        parts = super().training_loss(batch, counts)
        return {**parts, "loss": parts["loss"] + own / counts[counted] * self.classifier.mix.penalty()}


class ElmoClassifierConfig(ElmoClassifierHead, NetworkConfig):
    """A frozen ELMo with a new head. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["elmo"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence", "tokens"))
    stands_on: ClassVar[str | None] = "elmo"
    weights: Literal["pretrained", "random"]

    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> ElmoClassifier:
        assert head in self.heads
        elmo = load_elmo(backbone)
        if self.weights == "random":
            elmo = elmo.config.build(vocabulary_size=elmo.output.out_features, seed=derive_seed(seed, "elmo"))
        trained = ElmoClassifierHead(mix=self.mix, reader=self.reader, dropout=self.dropout)
        return trained.build_on(
            elmo, num_labels=num_outputs, tokens=head == "tokens", seed=derive_seed(seed, "head")
        )

    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        assert isinstance(network, ElmoClassifier)
        save_elmo_classifier(folder, network, labels=labels)

    def load(self, folder: Path, head: Head) -> ElmoClassifier:
        assert head in self.heads
        return load_elmo_classifier(folder, tokens=head == "tokens")

    def learner(self, network: nn.Module, task: Task[Any]) -> ElmoLearner:
        return ElmoLearner(network, task)

    def encode(
        self,
        network: nn.Module,
        task: Task[Any],
        examples: Sequence[Any],
        folder: Path,
        *,
        facts: TaskFacts,
        max_length: int,
    ) -> SpelledRows:
        assert isinstance(network, ElmoClassifier)
        most = network.elmo.config.characters.max_characters
        return SpelledRows.spell(
            task, examples, folder, facts=facts, max_length=max_length, max_characters=most
        )


DEVIATIONS = (
    Deviation(
        system="ELMo",
        theirs="Features feed the best model known for each task; sentences are classified by a biattentive "
        "classification network.",
        ours="The mean of the features over a text's words, as they are or read by one bidirectional LSTM.",
        why="What the features hold shows in the simplest of readers.",
        source="arXiv 1802.05365, section 4 and appendix A.6",
    ),
    Deviation(
        system="ELMo",
        theirs="Entities are tagged by two LSTM layers over the features and the network's own vectors of "
        "words and characters, and a CRF.",
        ours="A linear layer on each word's features, as they are or read by one bidirectional LSTM; no CRF.",
        why="What the features hold shows in the simplest of readers.",
        source="arXiv 1802.05365, appendix A.5",
    ),
    Deviation(
        system="ELMo",
        theirs="Layer normalization before the mix takes mean and variance over all words of a batch.",
        ours="Over the features of each word.",
        why="A text's probabilities must not depend on what stands beside it in a batch.",
        source="allenai/bilm-tf bilm/elmo.py",
    ),
    Deviation(
        system="ELMo",
        theirs="For some tasks the biLM is trained further on the task's text before it is frozen.",
        ours="It is frozen as pretraining left it.",
        why="A pretraining run on the task's text does it.",
        source="arXiv 1802.05365, section 3.4",
    ),
)
