"""A pretrained decoder fine-tuned as GPT-1 was: input transformations, a new matrix, an auxiliary loss.

Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", sections 3.2 and 3.3.
Shapes: B examples, R rows, L positions, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.data.randomness import derive_seed
from seedbed.fidelity import Deviation
from seedbed.learner import Batch
from seedbed.models import (
    Decoder,
    DecoderClassifier,
    classifier_on_decoder,
    load_decoder,
    load_decoder_classifier,
    save_decoder_classifier,
    with_tokens,
)
from seedbed.models.vocabulary_loss import vocabulary_loss
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tasks.network import NetworkConfig
from seedbed.tasks.network_learner import NetworkLearner
from seedbed.tokenization import InputTokens, add_input_tokens, copy_with_input_tokens, load_tokenizer


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


class DecoderClassifierConfig(NetworkConfig):
    """The backbone with a new head. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["decoder"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence",))
    stands_on: ClassVar[str | None] = "decoder"
    weights: Literal["pretrained", "random"]
    pairs: Literal["ordered", "unordered"] = Field(
        "ordered",
        description="whether the order of a pair's texts means anything; unordered: both are read and added",
    )
    auxiliary: float = Field(0.5, ge=0, description="weight of the language model's loss on the same rows")
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1, description="of what each layer adds, while fine-tuning")
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    classifier_dropout: float = Field(0.1, ge=0, lt=1)

    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> DecoderClassifier:
        """The start, delimiter and extract tokens get new vectors; all else is the backbone's."""
        assert head in self.heads
        decoder, tokens = open_backbone(
            self.weights,
            backbone,
            seed=seed,
            embedding_dropout=self.embedding_dropout,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )
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

    def copy_tokenizer(self, backbone: Path, folder: Path) -> None:
        copy_with_input_tokens(backbone, folder)

    def positions(self, network: nn.Module) -> int:
        assert isinstance(network, DecoderClassifier)
        return network.decoder.config.max_length


@dataclass(frozen=True)
class _Sizes:
    """The vocabulary of a decoder that is made anew."""

    size: int
    pad_id: int
    sep_id: int


def open_backbone(
    weights: Literal["pretrained", "random"], folder: Path, *, seed: int, **dropouts: float
) -> tuple[Decoder, InputTokens]:
    """The folder's decoder, or one of its shape with new weights, and the ids of the three tokens.

    New weights, those of the tokens' vectors among them, are a function of `seed`.
    """
    decoder = load_decoder(folder, **dropouts)
    tokenizer = load_tokenizer(folder)
    if decoder.vocabulary_size <= (largest := max(tokenizer.get_vocab(with_added_tokens=True).values())):
        raise UserError(
            f"{folder}: a tokenizer of {largest + 1} tokens and a decoder of {decoder.vocabulary_size}; "
            "give a folder whose tokenizer is the decoder's"
        )
    if weights == "random":
        pad_id, end_id = decoder.pad_id, decoder.end_id
        sizes = _Sizes(decoder.vocabulary_size, pad_id or 0, end_id or 0)
        decoder = decoder.config.build(sizes, seed=derive_seed(seed, "decoder"))
        decoder.pad_id, decoder.end_id = pad_id, end_id
    tokens = add_input_tokens(tokenizer)
    return with_tokens(decoder, tokens, seed=derive_seed(seed, "tokens")), tokens


def pad_id_of(decoder: Decoder) -> int:
    """What fills a row behind its end, where no token reads it; a folder may name none."""
    named = (decoder.pad_id, decoder.end_id, 0)
    return next(one for one in named if one is not None)


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
