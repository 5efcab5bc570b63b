"""The names and config.json of Hugging Face's GPT-1, GPT-2, GPT-Neo and GPT-J beside ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

from seedbed.config import UserError
from seedbed.models.checkpoint_folder import check_layers
from seedbed.models.decoder import Decoder, DecoderConfig
from seedbed.models.gpt import GPT1Config, GPT2Config, GPTJConfig, GPTNeoConfig
from seedbed.models.layout import CONFIG

PREFIX = "transformer."


class Family(NamedTuple):
    """One family as transformers writes it."""

    config: type[GPT1Config] | type[GPT2Config] | type[GPTNeoConfig] | type[GPTJConfig]
    architecture: str
    vocabulary_size: int
    """The default of their configuration class."""
    names: Mapping[str, str | tuple[str, ...]]
    """Our owners of parameters, those of a block without its number, to theirs; query, key, value apart."""
    transposed: bool
    """Matrices are kept the other way round (`Conv1D`)."""
    keys: Mapping[str, tuple[str, Any]]
    """Our field to their key and the default of their configuration class."""
    computed: Mapping[str, tuple[Any, ...]]
    """Their keys of which only these values are computed here; the first is their default."""


_SIZES: dict[str, tuple[str, Any]] = {
    "hidden_size": ("n_embd", 768),
    "num_layers": ("n_layer", 12),
    "num_heads": ("n_head", 12),
    "embedding_dropout": ("embd_pdrop", 0.1),
    "dropout": ("resid_pdrop", 0.1),
    "attention_dropout": ("attn_pdrop", 0.1),
    "norm_eps": ("layer_norm_epsilon", 1e-5),
    "initializer_range": ("initializer_range", 0.02),
}
_NORMS = {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"}
_JOINED = {
    "attention_in": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "feed_forward_in": "mlp.c_fc",
    "feed_forward_out": "mlp.c_proj",
}
_OUTER = {"token": "wte", "positions.table": "wpe", "norm": "ln_f"}

FAMILIES: Mapping[str, Family] = {
    "openai-gpt": Family(
        GPT1Config,
        "OpenAIGPTLMHeadModel",
        40478,
        {"token": "tokens_embed", "positions.table": "positions_embed", **_JOINED, **_NORMS},
        transposed=True,
        keys={**_SIZES, "max_length": ("n_positions", 512)},
        # their GPT-1 takes the approximation by tanh for "gelu"
        computed={"afn": ("gelu", "gelu_new"), "tie_word_embeddings": (True,)},
    ),
    "gpt2": Family(
        GPT2Config,
        "GPT2LMHeadModel",
        50257,
        {**_OUTER, **_JOINED, **_NORMS},
        transposed=True,
        keys={**_SIZES, "intermediate_size": ("n_inner", None), "max_length": ("n_positions", 1024)},
        computed={
            "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
            "tie_word_embeddings": (True,),
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
    ),
    "gpt_neo": Family(
        GPTNeoConfig,
        "GPTNeoForCausalLM",
        50257,
        {
            **_OUTER,
            **_NORMS,
            "attention_in": tuple(f"attn.attention.{part}_proj" for part in "qkv"),
            "attention_out": "attn.attention.out_proj",
            "feed_forward_in": "mlp.c_fc",
            "feed_forward_out": "mlp.c_proj",
        },
        transposed=False,
        keys={
            "hidden_size": ("hidden_size", 2048),
            "intermediate_size": ("intermediate_size", None),
            "num_layers": ("num_layers", 24),
            "num_heads": ("num_heads", 16),
            "max_length": ("max_position_embeddings", 2048),
            "embedding_dropout": ("embed_dropout", 0.0),
            "dropout": ("resid_dropout", 0.0),
            "attention_dropout": ("attention_dropout", 0.0),
            "norm_eps": ("layer_norm_epsilon", 1e-5),
            "initializer_range": ("initializer_range", 0.02),
            "window": ("window_size", 256),
        },
        computed={"activation_function": ("gelu_new", "gelu_pytorch_tanh"), "tie_word_embeddings": (True,)},
    ),
    "gptj": Family(
        GPTJConfig,
        "GPTJForCausalLM",
        50400,
        {
            "token": "wte",
            "norm": "ln_f",
            "output": "lm_head",
            "attention_norm": "ln_1",
            "attention_in": tuple(f"attn.{part}_proj" for part in "qkv"),
            "attention_out": "attn.out_proj",
            "feed_forward_in": "mlp.fc_in",
            "feed_forward_out": "mlp.fc_out",
        },
        transposed=False,
        keys={
            **_SIZES,
            "hidden_size": ("n_embd", 4096),
            "intermediate_size": ("n_inner", None),
            "num_layers": ("n_layer", 28),
            "num_heads": ("n_head", 16),
            "max_length": ("n_positions", 2048),
            "rotary_size": ("rotary_dim", 64),
            "embedding_dropout": ("embd_pdrop", 0.0),
            "dropout": ("resid_pdrop", 0.0),
            "attention_dropout": ("attn_pdrop", 0.0),
        },
        computed={"activation_function": ("gelu_new", "gelu_pytorch_tanh"), "tie_word_embeddings": (False,)},
    ),
}


def family_of(config: DecoderConfig) -> tuple[str, Family]:
    """The model_type and family of a configuration."""
    return next((key, family) for key, family in FAMILIES.items() if isinstance(config, family.config))


def to_config(decoder: Decoder) -> dict[str, Any]:
    """The config.json of a decoder."""
    config = decoder.config
    model_type, family = family_of(config)
    written: dict[str, Any] = {
        "architectures": [family.architecture],
        "model_type": model_type,
        "vocab_size": decoder.vocabulary_size,
        "bos_token_id": decoder.end_id,
        "eos_token_id": decoder.end_id,
        "pad_token_id": decoder.pad_id,
        "dtype": "float32",
    }
    written |= {key: values[0] for key, values in family.computed.items()}
    written |= {key: getattr(config, ours) for ours, (key, _) in family.keys.items()}
    if isinstance(config, GPTNeoConfig):
        written["attention_types"] = [[list(config.pattern), config.num_layers // len(config.pattern)]]
    return written


def from_config(written: Mapping[str, Any], folder: Path) -> DecoderConfig:
    """The typed configuration of a config.json; whatever we do not compute alike is refused."""
    path = folder / CONFIG
    model_type = str(written.get("model_type"))
    if model_type not in FAMILIES:
        raise UserError(f"{path}: model_type {model_type!r} is no decoder; allowed: {', '.join(FAMILIES)}")
    family = FAMILIES[model_type]
    for key, values in family.computed.items():
        if written.get(key, values[0]) not in values:
            allowed = " and ".join(repr(value) for value in values)
            raise UserError(f"{path}: {key} {written[key]!r}; only {allowed} is computed here")
    found = {ours: written.get(key, default) for ours, (key, default) in family.keys.items()}
    if found.get("intermediate_size") is None and isinstance(found["hidden_size"], int):
        found["intermediate_size"] = 4 * found["hidden_size"]
    if family.config is GPTNeoConfig:
        found["pattern"] = _pattern(written.get("attention_types", [[["global", "local"], 12]]), path)
    [name] = get_args(family.config.model_fields["name"].annotation)
    return family.config.parse({"name": name, **found}, where=str(path))


def _pattern(attention_types: object, path: Path) -> list[str]:
    """The shortest pattern that, repeated, gives the layers of `[[["global", "local"], 6]]`."""
    try:
        layers = [kind for kinds, times in attention_types for _ in range(times) for kind in kinds]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise UserError(
            f"{path}: attention_types {attention_types!r}, expected [[[kind, ...], times], ...]; "
            "make the folder again"
        ) from None
    lengths = [n for n in range(1, len(layers) + 1) if len(layers) % n == 0]
    return next((layers[:n] for n in lengths if layers[:n] * (len(layers) // n) == layers), layers)


def rename(name: str, config: DecoderConfig) -> list[str]:
    """Hugging Face's name of one of our parameters, or three names: query, key and value."""
    family = family_of(config)[1]
    owner, kind = name.rsplit(".", 1)
    prefix = "" if owner == "output" else PREFIX
    if owner.startswith("blocks."):
        _, number, owner = owner.split(".")
        prefix = f"{PREFIX}h.{number}."
    places = family.names[owner]
    return [f"{prefix}{place}.{kind}" for place in ((places,) if isinstance(places, str) else places)]


def decoder_tensors(state: Mapping[str, Tensor], config: DecoderConfig) -> dict[str, Tensor]:
    """A decoder's parameters, or any tensors named like them, as Hugging Face holds them."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        theirs = rename(name, config)
        turned = tensor.T if _turned(name, config) else tensor
        renamed |= dict(zip(theirs, turned.chunk(len(theirs)), strict=True))
    return renamed


def decoder_state(theirs: Mapping[str, Tensor], decoder: Decoder, *, weights: Path) -> dict[str, Tensor]:
    """Our parameters from Hugging Face's tensors, which were read from the file or folder `weights`."""
    config = decoder.config
    # the published GPT-2 and the classes without a head leave the prefix out
    bare = not any(name.startswith(PREFIX) for name in theirs)
    check_layers(theirs, "h." if bare else f"{PREFIX}h.", num_layers=config.num_layers, weights=weights)
    state: dict[str, Tensor] = {}
    for name in decoder.state_dict():
        places = [place.removeprefix(PREFIX) if bare else place for place in rename(name, config)]
        if missing := [place for place in places if place not in theirs]:
            raise UserError(f"{weights}: no tensor {missing[0]}; give a causal LM, or make the folder again")
        joined = torch.cat([theirs[place] for place in places])
        state[name] = joined.T if _turned(name, config) else joined
    return state


def _turned(name: str, config: DecoderConfig) -> bool:
    """Whether Hugging Face keeps this matrix the other way round."""
    inside = name.startswith("blocks.") and name.endswith(".weight") and "norm" not in name
    return inside and family_of(config)[1].transposed
