"""A pretrained encoder with a new head, or the same network from scratch."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.data import Arrangement, PackedConfig
from seedbed.data.randomness import derive_seed
from seedbed.models import (
    SequenceClassifier,
    TokenClassifier,
    classifier_on,
    load_encoder,
    load_pooler,
    load_sequence_classifier,
    load_token_classifier,
    save_pretrained,
    span_classifier_on,
    token_classifier_on,
)
from seedbed.models.lora import LoRAConfig, merge
from seedbed.models.mixout import MixoutConfig
from seedbed.tasks.examples import Head
from seedbed.tasks.network import NetworkConfig
from seedbed.tasks.reinitialisation import TopLayersConfig
from seedbed.tokenization import Vocabulary


class EncoderClassifierConfig(NetworkConfig):
    """The backbone with a new head. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["encoder"]
    heads: ClassVar[frozenset[Head]] = frozenset(("sequence", "tokens", "spans"))
    stands_on: ClassVar[str | None] = "encoder"
    weights: Literal["pretrained", "random"]
    dropout: float = Field(0.1, ge=0, lt=1, description="of embeddings and layers while fine-tuning")
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    classifier_dropout: float = Field(0.1, ge=0, lt=1)
    arrangement: Arrangement = Field(
        PackedConfig(name="packed"),
        description="how a batch of training is computed; its gradient is the same",
    )
    reinitialise: TopLayersConfig | None = Field(None, description="layers that begin anew; null: none")
    mixout: MixoutConfig | None = Field(
        None, description="weights that fall back by chance; with it `dropout` is 0 in the paper; null: none"
    )
    adapter: LoRAConfig | None = Field(
        None,
        description="what learns in place of the encoder, which then stays as it is; null: all learns",
    )

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        given = [n for n in ("reinitialise", "mixout", "adapter") if getattr(self, n) is not None]
        if self.weights == "random" and given:
            raise ValueError(f"{given[0]} is of pretrained weights, and weights is random; give null")
        if self.adapter is not None and len(given) > 1:
            raise ValueError(f"with an adapter the encoder does not learn, so {given[0]} is idle; give null")
        return self

    def network(
        self, backbone: Path, head: Head, *, num_outputs: int, seed: int
    ) -> SequenceClassifier | TokenClassifier:
        """A BERT that learned to predict the next sentence lends its pooler; any other head is new."""
        loaded = load_encoder(backbone, dropout=self.dropout, attention_dropout=self.attention_dropout)
        encoder, pooler, head_seed = loaded.encoder, load_pooler(backbone), derive_seed(seed, "head")
        if encoder.vocabulary_size < (size := Vocabulary.load(backbone).size):
            raise UserError(
                f"{backbone}: a tokenizer of {size} tokens and an encoder of {encoder.vocabulary_size}; give "
                "a folder whose tokenizer is the encoder's"
            )
        if self.weights == "random":
            new = derive_seed(seed, "encoder")
            encoder, pooler = loaded.config.build(Vocabulary.load(backbone), seed=new), None
            head_seed = new + 1
        if self.reinitialise is not None:
            self.reinitialise.apply(encoder, seed=head_seed)
            pooler = None if self.reinitialise.pooler else pooler
        if self.mixout is not None:
            self.mixout.apply(encoder)
        if self.adapter is not None:
            self.adapter.apply(encoder, seed=derive_seed(head_seed, "adapter"))
        rate = self.classifier_dropout
        if head == "spans":
            return span_classifier_on(encoder, seed=head_seed)
        if head == "tokens":
            return token_classifier_on(encoder, num_labels=num_outputs, dropout=rate, seed=head_seed)
        return classifier_on(encoder, num_labels=num_outputs, dropout=rate, seed=head_seed, pooler=pooler)

    def finish(self, network: nn.Module) -> None:
        merge(network)

    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        assert isinstance(network, SequenceClassifier | TokenClassifier)
        save_pretrained(folder, network.encoder, head=network, labels=labels)

    def load(self, folder: Path, head: Head) -> nn.Module:
        if head == "sequence":
            return load_sequence_classifier(folder)
        assert head != "text"
        return load_token_classifier(folder, head)

    def arrange(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.arrangement.arrange(batch)

    def positions(self, network: nn.Module) -> int:
        assert isinstance(network, SequenceClassifier | TokenClassifier)
        return network.encoder.config.max_length
