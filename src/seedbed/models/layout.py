"""The names and config.json of Hugging Face's BERT, RoBERTa and ELECTRA beside ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models.encoder import Encoder, EncoderConfig, Family

CONFIG = "config.json"

Kind = Literal[
    "none",
    "masked_lm",
    "next_sentence",
    "replaced_token_detection",
    "sequence_classification",
    "token_classification",
    "question_answering",
]

_EMBEDDINGS = {
    "embeddings.token": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "projection": "embeddings_project",
}
_BLOCK = {
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward_in": "intermediate.dense",
    "feed_forward_out": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
_QKV = tuple(f"attention.self.{part}" for part in ("query", "key", "value"))

# (family, kind) -> the class of transformers, and the place of each part of the head
_HEADS: dict[tuple[Family, Kind], tuple[str, dict[str, str]]] = {
    ("bert", "none"): ("BertModel", {}),
    ("electra", "none"): ("ElectraModel", {}),
    ("roberta", "none"): ("RobertaModel", {}),
    ("bert", "masked_lm"): (
        "BertForMaskedLM",
        {
            "dense": "cls.predictions.transform.dense",
            "norm": "cls.predictions.transform.LayerNorm",
            "": "cls.predictions",
        },
    ),
    ("bert", "next_sentence"): (
        "BertForPreTraining",
        {
            "tokens.dense": "cls.predictions.transform.dense",
            "tokens.norm": "cls.predictions.transform.LayerNorm",
            "tokens": "cls.predictions",
            "sentence.pooler": "bert.pooler.dense",
            "sentence.out": "cls.seq_relationship",
        },
    ),
    ("electra", "masked_lm"): (
        "ElectraForMaskedLM",
        {
            "dense": "generator_predictions.dense",
            "norm": "generator_predictions.LayerNorm",
            "": "generator_lm_head",
        },
    ),
    ("roberta", "masked_lm"): (
        "RobertaForMaskedLM",
        {"dense": "lm_head.dense", "norm": "lm_head.layer_norm", "": "lm_head"},
    ),
    ("electra", "replaced_token_detection"): (
        "ElectraForPreTraining",
        {"dense": "discriminator_predictions.dense", "out": "discriminator_predictions.dense_prediction"},
    ),
    ("bert", "sequence_classification"): (
        "BertForSequenceClassification",
        {"dense": "bert.pooler.dense", "out": "classifier"},
    ),
    ("electra", "sequence_classification"): (
        "ElectraForSequenceClassification",
        {"dense": "classifier.dense", "out": "classifier.out_proj"},
    ),
    ("roberta", "sequence_classification"): (
        "RobertaForSequenceClassification",
        {"dense": "classifier.dense", "out": "classifier.out_proj"},
    ),
}
_CLASSES: dict[Family, str] = {"bert": "Bert", "electra": "Electra", "roberta": "Roberta"}
for _family, _class in _CLASSES.items():
    _HEADS[_family, "token_classification"] = (f"{_class}ForTokenClassification", {"out": "classifier"})
    _HEADS[_family, "question_answering"] = (f"{_class}ForQuestionAnswering", {"out": "qa_outputs"})


def to_config(encoder: Encoder, kind: Kind) -> dict[str, Any]:
    """The config.json of an encoder with a head; a pair transformers has no class for is refused."""
    config = encoder.config
    if (config.family, kind) not in _HEADS:
        raise UserError(
            f"encoder.family: {config.family} has no layout for {kind}; "
            f"allowed: {', '.join(family for family, known in _HEADS if known == kind)}"
        )
    written: dict[str, Any] = {
        "architectures": [_HEADS[config.family, kind][0]],
        "model_type": config.family,
        "vocab_size": encoder.vocabulary_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": encoder.embeddings.position.num_embeddings,
        "type_vocab_size": config.num_token_types,
        "initializer_range": config.initializer_range,
        "layer_norm_eps": config.norm_eps,
        "pad_token_id": encoder.pad_id,
        "dtype": "float32",
    }
    if config.family == "electra":
        written["embedding_size"] = config.token_size
    if config.family == "roberta":
        written |= {"bos_token_id": encoder.cls_id, "eos_token_id": encoder.sep_id}
    return written


def encoder_tensors(encoder: nn.Module, *, prefix: str) -> dict[str, Tensor]:
    """The encoder's parameters (or any tensors named like them) under Hugging Face's names."""
    return rename_encoder(encoder.state_dict(), prefix=prefix)


def rename_encoder(state: Mapping[str, Tensor], *, prefix: str) -> dict[str, Tensor]:
    """Our names to Hugging Face's, the joined query, key and value split."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        owner, kind = name.rsplit(".", 1)
        if owner in _EMBEDDINGS:
            renamed[f"{prefix}{_EMBEDDINGS[owner]}.{kind}"] = tensor
            continue
        _, number, part = owner.split(".")
        layer = f"{prefix}encoder.layer.{number}"
        if part == "attention_in":
            for place, third in zip(_QKV, tensor.chunk(3), strict=True):
                renamed[f"{layer}.{place}.{kind}"] = third
        else:
            renamed[f"{layer}.{_BLOCK[part]}.{kind}"] = tensor
    return renamed


def head_tensors(head: nn.Module, family: Family, kind: Kind) -> dict[str, Tensor]:
    """The head's parameters under Hugging Face's names; tied output matrices are left out."""
    return {head_name(name, family, kind): tensor for name, tensor in head.state_dict().items()}


def head_name(name: str, family: Family, kind: Kind) -> str:
    """Hugging Face's name of one parameter of a head."""
    owner, _, parameter = name.rpartition(".")
    return f"{_HEADS[family, kind][1][owner]}.{parameter}"


def from_config(written: Mapping[str, Any], folder: Path) -> EncoderConfig:
    """The typed configuration of a config.json; whatever we do not compute alike is refused."""
    path = folder / CONFIG
    family = written.get("model_type")
    if family not in ("bert", "electra", "roberta"):
        raise UserError(f"{path}: model_type {family!r}; allowed: bert, electra, roberta")
    computed = {
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }
    for key, value in computed.items():
        if written.get(key, value) != value:
            raise UserError(f"{path}: {key} {written[key]!r}; only {value!r} is computed here")
    # Keys left out have the defaults of transformers' configuration classes.
    defaults = {
        "vocab_size": 50265 if family == "roberta" else 30522,
        "hidden_size": 256 if family == "electra" else 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 4 if family == "electra" else 12,
        "intermediate_size": 1024 if family == "electra" else 3072,
        "embedding_size": 128,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "pad_token_id": 1 if family == "roberta" else 0,
    }
    found = {key: written.get(key, default) for key, default in defaults.items()}
    for key, default in defaults.items():
        if isinstance(found[key], bool) or not isinstance(found[key], int | type(default)):
            raise UserError(f"{path}: {key} is {found[key]!r}, expected a number; make the folder again")
    offset = found["pad_token_id"] + 1 if family == "roberta" else 0
    embedding_size = found["embedding_size"] if family == "electra" else found["hidden_size"]
    return EncoderConfig.parse(
        {
            "name": "encoder",
            "family": family,
            "hidden_size": found["hidden_size"],
            "intermediate_size": found["intermediate_size"],
            "num_layers": found["num_hidden_layers"],
            "num_heads": found["num_attention_heads"],
            "embedding_size": None if embedding_size == found["hidden_size"] else embedding_size,
            "max_length": found["max_position_embeddings"] - offset,
            "num_token_types": found["type_vocab_size"],
            "dropout": found["hidden_dropout_prob"],
            "attention_dropout": found["attention_probs_dropout_prob"],
            "norm_eps": found["layer_norm_eps"],
            "initializer_range": found["initializer_range"],
        },
        where=str(path),
    )
