"""A pretrained decoder that goes on as a language model: what writes texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from seedbed.models import Decoder, load_decoder, save_decoder
from seedbed.tasks.decoder_backbone import OnDecoderConfig, pad_id_of
from seedbed.tasks.encoded import EncodedRows
from seedbed.tasks.examples import Head, Task, TaskFacts
from seedbed.tokenization import load_tokenizer


class CausalLMWriterConfig(OnDecoderConfig):
    """The backbone with its own output. `random` keeps its shape and vocabulary and forgets its weights."""

    name: Literal["causal_lm"]
    heads: ClassVar[frozenset[Head]] = frozenset(("text",))

    def network(self, backbone: Path, head: Head, *, num_outputs: int, seed: int) -> Decoder:
        """Start, delimiter and extract tokens get new vectors, and the last of them ends a text."""
        assert head in self.heads
        decoder, tokens = self.open(backbone, seed=seed)
        decoder.pad_id = pad_id_of(decoder)
        decoder.end_id = tokens.extract
        return decoder

    def save(self, folder: Path, network: nn.Module, *, labels: tuple[str, ...] | None) -> None:
        assert isinstance(network, Decoder)
        save_decoder(folder, network)

    def load(self, folder: Path, head: Head) -> Decoder:
        assert head in self.heads
        return load_decoder(folder)

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
        assert isinstance(network, Decoder)
        return task.encode(
            examples,
            load_tokenizer(folder),
            facts=facts,
            max_length=max_length,
            pad_id=pad_id_of(network),
        )

    def positions(self, network: nn.Module) -> int:
        assert isinstance(network, Decoder)
        return network.config.max_length
