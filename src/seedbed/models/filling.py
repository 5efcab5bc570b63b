"""New networks filled from a checkpoint folder, to the bit, with rows for tokens that it does not know.

Shapes: V vocabulary, D width of a row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models import decoder_layout, layout
from seedbed.models.checkpoint_folder import WEIGHTS, fill, read_config, read_tensors
from seedbed.models.decoder import Decoder, DecoderConfig
from seedbed.models.encoder import Encoder, EncoderConfig, Family
from seedbed.models.interchange import encoder_state

_ROWS = ("embeddings.token.weight", "token.weight", "output.weight", "output.bias", "bias", "tokens.bias")
"""Our parameters that have a row for each token, by the end of the name or the whole of it."""
_TIED = (
    "cls.predictions.decoder.weight",
    "lm_head.decoder.weight",
    "lm_head.weight",
    "generator_lm_head.weight",
)
"""Output matrices that the layouts know as the token embeddings once more."""
FREE = ("dropout", "attention_dropout", "embedding_dropout", "initializer_range")
"""Of a configuration, what a checkpoint does not fix."""


class NewTokens(NamedTuple):
    """Tokens from id `first` on that a checkpoint does not know, each with the known ones it is made of."""

    first: int
    pieces: Sequence[Sequence[int]]


class Checkpoint:
    """The configuration and tensors of a local folder; `unused()` tells what of them nothing has taken."""

    def __init__(self, folder: Path, *, new: NewTokens | None = None) -> None:
        self.folder, self.written = folder, read_config(folder)
        self._new = new
        self._tensors = read_tensors(folder)
        self._taken: set[str] = set()

    def fill_encoder(self, encoder: Encoder) -> None:
        """Every parameter of an encoder."""
        state = encoder_state(self._watched(), encoder, self.folder)
        self._put(encoder, state)

    def fill_head(self, head: nn.Module, family: Family, kind: layout.Kind) -> list[str]:
        """Every parameter of a head, or nothing where tensors are missing, whose names are returned."""
        names = {ours: layout.head_name(ours, family, kind) for ours in head.state_dict()}
        for ours, theirs in names.items():
            # transformers ties the two and writes one of them
            other = theirs.removesuffix("bias") + "decoder.bias"
            if theirs not in self._tensors and other in self._tensors:
                names[ours] = other
        if missing := sorted(theirs for theirs in names.values() if theirs not in self._tensors):
            return missing
        watched = self._watched()
        self._put(head, {ours: watched[theirs] for ours, theirs in names.items()})
        return []

    def fill_decoder(self, decoder: Decoder, *, new_output: bool) -> list[str]:
        """Every parameter of a decoder, or the names of its output's that are missing.

        With `new_output` the output matrix, where it is not the token embeddings, stays as it is.
        """
        state = decoder.state_dict()
        output = [name for name in state if name.startswith("output.")]
        places = {name: decoder_layout.rename(name, decoder.config)[0] for name in output}
        missing = sorted(place for place in places.values() if place not in self._tensors)
        if missing and not new_output:
            return missing
        tensors: dict[str, Tensor] = dict(self._watched())
        if new_output:
            tensors |= {place: state[name] for name, place in places.items()}
        found = decoder_layout.decoder_state(tensors, decoder, weights=self.folder / WEIGHTS)
        self._taken |= {place for name in state for place in self._both(name, decoder.config)}
        kept = {name: found.pop(name) for name in output if new_output}
        self._put(decoder, found, kept)
        return []

    def check_tied(self, token_VD: Tensor) -> None:
        """An output matrix that is not the token embeddings would be lost: it is refused."""
        for name in _TIED:
            written = self._tensors.get(name)
            if written is None:
                continue
            self._taken.add(name)
            rows = min(len(written), self._known)
            if not torch.equal(written[:rows].float(), token_VD[:rows]):
                raise UserError(
                    f"{self.folder / WEIGHTS}: {name} is not the token embeddings, here it is; "
                    "give a checkpoint whose output matrix is tied"
                )

    def unused(self) -> list[str]:
        """The tensors that nothing took, but for buffers of older versions."""
        buffers = ("position_ids", "token_type_ids", ".attn.bias", ".masked_bias", ".attention.bias")
        return sorted(name for name in self._tensors.keys() - self._taken if not name.endswith(buffers))

    @property
    def _known(self) -> int:
        return 2**31 if self._new is None else self._new.first

    def _watched(self) -> Mapping[str, Tensor]:
        return _Watched(self._tensors, self._taken)

    def _both(self, name: str, config: DecoderConfig) -> list[str]:
        """The places of a parameter with the family's prefix and without."""
        places = decoder_layout.rename(name, config)
        return places + [place.removeprefix(decoder_layout.PREFIX) for place in places]

    def _put(
        self, module: nn.Module, state: Mapping[str, Tensor], kept: Mapping[str, Tensor] | None = None
    ) -> None:
        if self._new is not None:
            state = {
                name: grow(tensor, self._new) if name in _ROWS else tensor for name, tensor in state.items()
            }
        fill(module, {**state, **(kept or {})}, self.folder)


class _Watched(dict[str, Tensor]):
    """A dictionary that notes what is read of it."""

    def __init__(self, tensors: Mapping[str, Tensor], taken: set[str]) -> None:
        super().__init__(tensors)
        self._taken = taken

    def __getitem__(self, name: str) -> Tensor:
        self._taken.add(name)
        return super().__getitem__(name)


def grow(rows_VD: Tensor, new: NewTokens) -> Tensor:
    """The rows with those of the new tokens: the mean of their pieces' rows, or of all where there are none.

    Rows that the checkpoint holds beyond its tokens (matrices are padded to round sizes) are taken first.
    """
    known_VD = rows_VD[: new.first].float()
    if len(known_VD) < new.first:
        raise UserError(
            f"the checkpoint has {len(rows_VD)} rows of tokens, its tokenizer {new.first}; make it again"
        )
    every = known_VD.double().mean(0)
    made = [known_VD[list(pieces)].double().mean(0) if len(pieces) else every for pieces in new.pieces]
    grown = [known_VD, *([torch.stack(made).float()] if made else [])]
    return torch.cat([*grown, rows_VD[new.first + len(made) :].float()])


def read_network(folder: Path) -> tuple[EncoderConfig | DecoderConfig, int]:
    """The configuration of a folder's network and the rows it has for tokens."""
    written = read_config(folder)
    model_type = str(written.get("model_type"))
    config: EncoderConfig | DecoderConfig
    if model_type in decoder_layout.FAMILIES:
        config = decoder_layout.from_config(written, folder)
        default = decoder_layout.FAMILIES[model_type].vocabulary_size
    else:
        config = layout.from_config(written, folder)
        default = 50265 if config.family == "roberta" else 30522
    return config, int(written.get("vocab_size", default))


def check_network(
    given: EncoderConfig | DecoderConfig,
    found: EncoderConfig | DecoderConfig,
    *,
    where: str,
    folder: Path,
    remedy: str,
) -> None:
    """The recipe's network and a checkpoint's must be the same but for what a checkpoint does not fix."""
    if type(given) is not type(found):
        raise UserError(
            f"{where}: {given.__class__.__name__.removesuffix('Config')}, but {folder} holds "
            f"{found.__class__.__name__.removesuffix('Config')}; {remedy}"
        )
    for name in type(given).model_fields:
        # an embedding_size that is hidden_size may be left out
        attribute = "token_size" if name == "embedding_size" else name
        value, other = getattr(given, attribute), getattr(found, attribute)
        if name not in FREE and value != other:
            raise UserError(f"{where}.{name}: {value}, but {folder} has {other}; {remedy}")
