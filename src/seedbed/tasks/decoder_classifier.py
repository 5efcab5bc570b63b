"""A pretrained decoder fine-tuned as GPT-1 was: input transformations, a new matrix, an auxiliary loss.

Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", sections 3.2 and 3.3.
Shapes: B examples, R rows, L positions, C classes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed
from seedbed.fidelity import Deviation
from seedbed.learner import Batch
from seedbed.models import (
    DecoderClassifier,
    classifier_on_decoder,
    load_decoder_classifier,
    save_decoder_classifier,
)
from seedbed.models.vocabulary_loss import vocabulary_loss
from seedbed.tasks.decoder_backbone import OnDecoderConfig, pad_id_of
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tasks.network_learner import NetworkLearner
from seedbed.tokenization import add_input_tokens, load_tokenizer


class DecoderLearner(NetworkLearner):
    """The task's loss, and `auxiliary` times that of predicting each next token of its rows."""

    classifier: DecoderClassifier

    def __init__(self, classifier: nn.Module, task: Task[Any], *, auxiliary: float) -> None:
        super().__init__(classifier, task)
        self.auxiliary = auxiliary

    def network_logits(self, batch: Batch) -> Tensor:
        logits_BC: Tensor = self.classifier(batch["input_ids"], batch["attention_mask"])
        return logits_BC

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Beside the task's own the tokens that are predicted: all but the first of each row."""
        orders = 1 if self.classifier.swapped_at is None else 2
        return super().counts(batch) | {"tokens": orders * batch["attention_mask"][:, 1:].sum()}

    def training_loss(self, batch: Batch, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """L3 = L2 + lambda L1, each a mean: over examples, over tokens; padding is no token."""
        if self.auxiliary == 0:
            return super().training_loss(batch, counts)
        read = self.classifier.read(batch["input_ids"], batch["attention_mask"])
        parts = self.answering.training_loss({**batch, "logits": self.classifier.classify(read)}, counts)
        real_RL = read.attention_mask_RL[:, 1:] > 0
        lm_loss = (
            vocabulary_loss(
                read.hidden_RLD[:, :-1][real_RL],
                *self.classifier.decoder.output_weights(),
                read.input_ids_RL[:, 1:][real_RL],
            ).total
            / counts["tokens"]
        )
        return {**parts, "loss": parts["loss"] + self.auxiliary * lm_loss, "lm_loss": lm_loss}


class DecoderClassifierConfig(OnDecoderConfig):
    """The backbone with a new head. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["decoder"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence",))
    pairs: Literal["ordered", "unordered"] = Field(
        "ordered",
        description="whether the order of a pair's texts means anything; unordered: both are read and added",
    )
    auxiliary: float = Field(0.5, ge=0, description="weight of the language model's loss on the same rows")
    classifier_dropout: float = Field(0.1, ge=0, lt=1)

    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> DecoderClassifier:
        """The start, delimiter and extract tokens get new vectors; all else is the backbone's."""
        assert head in self.heads
        decoder, tokens = self.open(backbone, seed=seed)
        classifier = classifier_on_decoder(
            decoder,
            num_labels=num_outputs,
            dropout=self.classifier_dropout,
            swapped_at=tokens.delimiter if self.pairs == "unordered" else None,
            seed=derive_seed(seed, "head"),
        )
        if self.auxiliary == 0 and decoder.output is not None:
            decoder.output.requires_grad_(False)
        return classifier

    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        assert isinstance(network, DecoderClassifier)
        save_decoder_classifier(folder, network, labels=labels, pad_id=pad_id_of(network.decoder))

    def load(self, folder: Path, head: Head) -> DecoderClassifier:
        assert head in self.heads
        return load_decoder_classifier(folder)

    def learner(self, network: nn.Module, task: Task[Any]) -> DecoderLearner:
        return DecoderLearner(network, task, auxiliary=self.auxiliary)

    def encode(
        self,
        network: nn.Module,
        task: Task[Any],
        examples: Sequence[Any],
        folder: Path,
        *,
        facts: TaskFacts,
        max_length: int,
    ) -> EncodedRows:
        """As the task encodes, by a tokenizer that puts the three tokens in their places."""
        assert isinstance(network, DecoderClassifier)
        tokenizer = load_tokenizer(folder)
        tokens = add_input_tokens(tokenizer)
        pad_id = pad_id_of(network.decoder)
        rows = task.encode(examples, tokenizer, facts=facts, max_length=max_length, pad_id=pad_id)
        if self.pairs == "unordered" and any(tokens.delimiter not in ids for ids in rows.ids):
            raise UserError(
                f"task {task.name}: classifier {self.name} with pairs unordered reads two texts in both "
                "orders, and there is only one; say ordered"
            )
        return rows

    def positions(self, network: nn.Module) -> int:
        assert isinstance(network, DecoderClassifier)
        return network.decoder.config.max_length


DEVIATIONS = (
    Deviation(
        system="GPT-1",
        theirs="The auxiliary loss is the mean over rows of each row's mean over tokens.",
        ours="The mean over all tokens of a step, as in pretraining.",
        why="A step's loss is the same however it is cut into micro-batches and over devices.",
        source="openai/finetune-transformer-lm train.py",
    ),
    Deviation(
        system="GPT-1",
        theirs="The head has a bias in the released code, none in the paper.",
        ours="None.",
        why="The folder is that of transformers' class for sequence classification, which has none.",
        source="Radford et al. 2018, equation 3; openai/finetune-transformer-lm train.py",
    ),
)
