"""Models as folders in the Hugging Face layout: config.json, model.safetensors, tokenizer files.

Written and read without code of `transformers`; `AutoModel.from_pretrained(folder)` loads what is
written. Only safetensors and JSON are read: no pickle, no remote code.

Poolers: next-sentence prediction trains BERT's, so it is saved with it (BertForPreTraining), and a
classifier begins from it. A masked LM trains none, so none is saved: Hugging Face's plain BertModel and
RobertaModel draw a random one and warn that they do, as for the published RoBERTa, and a classifier of
ours draws a new one. The class named in `architectures` loads with nothing missing and nothing left over.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models import decoder_layout, elmo_layout
from seedbed.models.checkpoint_folder import WEIGHTS, read_config, read_tensors
from seedbed.models.decoder import Decoder
from seedbed.models.elmo import Elmo
from seedbed.models.elmo_classifier import ElmoClassifier, ElmoClassifierHead
from seedbed.models.encoder import Encoder, EncoderConfig
from seedbed.models.heads import (
    DiscriminatorHead,
    MaskedLMHead,
    PretrainingHeads,
    SequenceClassifier,
)
from seedbed.models.layout import (
    CONFIG,
    Kind,
    encoder_tensors,
    from_config,
    head_name,
    head_tensors,
    rename_encoder,
    to_config,
)
from seedbed.weights import write_weights
from seedbed.workspace import write_json

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")

Head = MaskedLMHead | PretrainingHeads | DiscriminatorHead | SequenceClassifier


class Loaded(NamedTuple):
    """An encoder read from a folder; the size of its vocabulary is `encoder.vocabulary_size`."""

    encoder: Encoder
    config: EncoderConfig


def save_pretrained(
    folder: Path,
    encoder: Encoder,
    *,
    head: Head | None = None,
    tokenizer_folder: Path | None = None,
    labels: Sequence[str] | None = None,
    extra_config: Mapping[str, Any] | None = None,
) -> None:
    """Write an encoder and its head; the same tensors give the same bytes.

    For a classifier `head` is the SequenceClassifier itself and `labels` the names of its classes;
    `extra_config` is merged into config.json.
    """
    kind, part = _kind(head)
    config = to_config(encoder, kind)
    if labels is not None:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    elif isinstance(head, SequenceClassifier):
        config["id2label"] = {str(index): f"LABEL_{index}" for index in range(head.num_labels)}
        config["label2id"] = {f"LABEL_{index}": index for index in range(head.num_labels)}
    if isinstance(head, SequenceClassifier):
        config["classifier_dropout"] = head.head.dropout
    tensors = encoder_tensors(encoder, prefix="" if kind == "none" else f"{encoder.config.family}.")
    if part is not None:
        tensors |= head_tensors(part, encoder.config.family, kind)
    _write(folder, tensors, config | dict(extra_config or {}))
    for name in TOKENIZER_FILES if tokenizer_folder is not None else ():
        assert tokenizer_folder is not None
        if (tokenizer_folder / name).is_file():
            (folder / name).write_bytes((tokenizer_folder / name).read_bytes())


def save_decoder(folder: Path, decoder: Decoder) -> None:
    """Write a decoder as its family's causal LM; the same tensors give the same bytes."""
    tensors = decoder_layout.decoder_tensors(decoder.state_dict(), decoder.config)
    _write(folder, tensors, decoder_layout.to_config(decoder))


def save_elmo(folder: Path, elmo: Elmo) -> None:
    """Write an ELMo with its output matrix; only `load_elmo` reads it."""
    _write(folder, elmo.state_dict(), elmo_layout.to_config(elmo))


def save_elmo_classifier(folder: Path, classifier: ElmoClassifier, *, labels: Sequence[str]) -> None:
    """Write a classifier with the ELMo it reads; only `load_elmo_classifier` reads it."""
    config = elmo_layout.to_config(classifier.elmo) | {
        "architectures": ["ElmoClassifier"],
        "head": classifier.config.model_dump(mode="json"),
        "id2label": {str(index): label for index, label in enumerate(labels)},
    }
    _write(folder, classifier.state_dict(), config)


def _write(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(
        folder / WEIGHTS,
        {name: tensor.float() for name, tensor in tensors.items()},
        metadata={"format": "pt"},
    )
    write_json(folder / CONFIG, config)


def _kind(head: Head | None) -> tuple[Kind, nn.Module | None]:
    match head:
        case None:
            return "none", None
        case MaskedLMHead():
            return "masked_lm", head
        case PretrainingHeads():
            return "next_sentence", head
        case DiscriminatorHead():
            return "replaced_token_detection", head
        case SequenceClassifier():
            return "sequence_classification", head.head


def load_encoder(
    folder: Path, *, dropout: float | None = None, attention_dropout: float | None = None
) -> Loaded:
    """The encoder of any local BERT, RoBERTa or ELECTRA folder, ours or Hugging Face's; heads are ignored.

    The dropouts given replace the folder's. Whatever cannot be read exactly is a UserError.
    """
    written = read_config(folder)
    changes = {"dropout": dropout, "attention_dropout": attention_dropout}
    changes = {name: value for name, value in changes.items() if value is not None}
    config = from_config(written, folder).model_copy(update=changes)
    encoder = _empty(written, config)
    fill(encoder, encoder_state(read_tensors(folder), encoder, folder), folder)
    return Loaded(encoder, config)


def load_decoder(folder: Path) -> Decoder:
    """The decoder of any local GPT-1, GPT-2, GPT-Neo or GPT-J folder, ours or Hugging Face's."""
    written = read_config(folder)
    config = decoder_layout.from_config(written, folder)
    ids = {name: written.get(f"{name}_token_id") for name in ("eos", "pad")}
    sizes = ids | {"vocab_size": written.get("vocab_size")}
    for name, value in sizes.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UserError(
                f"{folder / CONFIG}: {name} is {value!r}, expected a number; make the folder again"
            )
    size = written.get("vocab_size", decoder_layout.family_of(config)[1].vocabulary_size)
    decoder = Decoder(config, vocabulary_size=size, end_id=ids["eos"], pad_id=ids["pad"])
    state = decoder_layout.decoder_state(read_tensors(folder), decoder, weights=folder / WEIGHTS)
    fill(decoder, state, folder)
    return decoder


def load_elmo(folder: Path) -> Elmo:
    """The ELMo that `save_elmo` wrote."""
    elmo = _empty_elmo(read_config(folder), folder)
    fill(elmo, _exactly(read_tensors(folder), elmo, folder), folder)
    return elmo


def load_elmo_classifier(folder: Path) -> ElmoClassifier:
    """The classifier that `save_elmo_classifier` wrote."""
    written = read_config(folder)
    config = ElmoClassifierHead.parse(written.get("head"), f"{folder / CONFIG}: head")
    labels = written.get("id2label")
    if not isinstance(labels, dict):
        raise UserError(f"{folder / CONFIG}: no id2label; give a fine-tuned folder")
    classifier = ElmoClassifier(_empty_elmo(written, folder), config, num_labels=len(labels))
    fill(classifier, _exactly(read_tensors(folder), classifier, folder), folder)
    return classifier


def _empty_elmo(written: Mapping[str, Any], folder: Path) -> Elmo:
    config, size = elmo_layout.from_config(written, folder)
    return Elmo(config, vocabulary_size=size)


def _exactly(tensors: Mapping[str, Tensor], module: nn.Module, folder: Path) -> Mapping[str, Tensor]:
    """The tensors, which are those of `module` and no others."""
    if wrong := sorted(tensors.keys() ^ module.state_dict().keys()):
        raise UserError(
            f"{folder / WEIGHTS}: {'no' if wrong[0] not in tensors else 'unknown'} tensor {wrong[0]}; "
            "make the folder again"
        )
    return tensors


def load_pooler(folder: Path) -> nn.Linear | None:
    """The pooler that pretraining left in a BERT folder; None where there is none, or the family has none.

    A folder cannot say whether its pooler was ever trained: ours hold one only if it was, and so do the
    published BERTs.
    """
    config = from_config(read_config(folder), folder)
    if config.family != "bert":
        return None
    tensors = read_tensors(folder)
    for prefix in ("bert.", ""):
        state = {name: tensors.get(f"{prefix}pooler.dense.{name}") for name in ("weight", "bias")}
        found = {name: tensor for name, tensor in state.items() if tensor is not None}
        if len(found) == len(state):
            pooler = nn.Linear(config.hidden_size, config.hidden_size)
            fill(pooler, found, folder)
            return pooler
    return None


def load_sequence_classifier(folder: Path) -> SequenceClassifier:
    """The classifier that `save_pretrained` or Hugging Face wrote."""
    written = read_config(folder)
    config = from_config(written, folder)
    encoder = _empty(written, config)
    tensors = read_tensors(folder)
    fill(encoder, encoder_state(tensors, encoder, folder), folder)
    dropout = written.get("classifier_dropout")
    labels = written.get("id2label")
    num_labels = len(labels) if isinstance(labels, dict) else int(written.get("num_labels", 2))
    classifier = SequenceClassifier(
        encoder, num_labels=num_labels, dropout=None if dropout is None else float(dropout)
    )
    names = {
        name: head_name(name, config.family, "sequence_classification")
        for name in classifier.head.state_dict()
    }
    if missing := sorted(set(names.values()) - tensors.keys()):
        raise UserError(
            f"{folder / WEIGHTS}: no {missing[0]}; this is no sequence classifier "
            f"(architectures {written.get('architectures')}); give a fine-tuned folder"
        )
    fill(classifier.head, {ours: tensors[theirs] for ours, theirs in names.items()}, folder)
    return classifier


def _empty(written: Mapping[str, Any], config: EncoderConfig) -> Encoder:
    family = config.family
    return Encoder(
        config,
        vocabulary_size=written.get("vocab_size", 50265 if family == "roberta" else 30522),
        pad_id=written.get("pad_token_id", 1 if family == "roberta" else 0),
        cls_id=written.get("bos_token_id", 0 if family == "roberta" else None),
        sep_id=written.get("eos_token_id", 2 if family == "roberta" else None),
    )


def encoder_state(tensors: Mapping[str, Tensor], encoder: Encoder, folder: Path) -> dict[str, Tensor]:
    """The encoder's state under our names, query, key and value joined."""
    import torch

    prefix = f"{encoder.config.family}."
    if not any(name.startswith(prefix) for name in tensors):
        prefix = ""
    state: dict[str, Tensor] = {}
    for ours in encoder.state_dict():
        theirs = list(rename_encoder({ours: torch.empty(3)}, prefix=prefix))
        if missing := [name for name in theirs if name not in tensors]:
            raise UserError(f"{folder / WEIGHTS}: no tensor {missing[0]}; make the folder again")
        state[ours] = torch.cat([tensors[name] for name in theirs])
    return state


def fill(module: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    for name, parameter in module.state_dict().items():
        if parameter.shape != state[name].shape:
            raise UserError(
                f"{folder / WEIGHTS}: {name} has shape {tuple(state[name].shape)}, {CONFIG} says "
                f"{tuple(parameter.shape)}; make the folder again"
            )
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()})
