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
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models import decoder_layout
from seedbed.models.checkpoint_folder import (
    WEIGHTS,
    check_layers,
    fill,
    read_config,
    read_tensors,
    write_folder,
)
from seedbed.models.decoder import Decoder
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
from seedbed.models.token_heads import SpanClassifier, TokenClassifier

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")

Head = MaskedLMHead | PretrainingHeads | DiscriminatorHead | SequenceClassifier | TokenClassifier


_CALLED: Mapping[Kind, str] = {
    "sequence_classification": "sequence classifier",
    "token_classification": "token classifier",
    "question_answering": "finder of answers",
}


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
    elif isinstance(head, SequenceClassifier | TokenClassifier):
        config["id2label"] = {str(index): f"LABEL_{index}" for index in range(head.num_labels)}
        config["label2id"] = {f"LABEL_{index}": index for index in range(head.num_labels)}
    if isinstance(head, SequenceClassifier | TokenClassifier):
        config["classifier_dropout"] = head.head.dropout
    tensors = encoder_tensors(encoder, prefix="" if kind == "none" else f"{encoder.config.family}.")
    if part is not None:
        tensors |= head_tensors(part, encoder.config.family, kind)
    write_folder(folder, tensors, config | dict(extra_config or {}))
    for name in TOKENIZER_FILES if tokenizer_folder is not None else ():
        assert tokenizer_folder is not None
        if (tokenizer_folder / name).is_file():
            (folder / name).write_bytes((tokenizer_folder / name).read_bytes())


def save_decoder(folder: Path, decoder: Decoder) -> None:
    """Write a decoder as its family's causal LM; the same tensors give the same bytes."""
    tensors = decoder_layout.decoder_tensors(decoder.state_dict(), decoder.config)
    write_folder(folder, tensors, decoder_layout.to_config(decoder))


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
        case SpanClassifier():
            return "question_answering", head.head
        case TokenClassifier():
            return "token_classification", head.head


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


def load_decoder(folder: Path, **dropouts: float) -> Decoder:
    """The decoder of any local GPT-1, GPT-2, GPT-Neo or GPT-J folder, ours or Hugging Face's.

    The dropouts given (`embedding_dropout`, `dropout`, `attention_dropout`) replace the folder's.
    """
    written = read_config(folder)
    config = decoder_layout.from_config(written, folder).model_copy(update=dropouts)
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
    written, encoder, tensors = _read_whole(folder)
    classifier = SequenceClassifier(encoder, num_labels=_num_labels(written), dropout=_head_dropout(written))
    _fill_head(classifier.head, tensors, encoder, "sequence_classification", folder, written)
    return classifier


def load_token_classifier(folder: Path, head: Literal["tokens", "spans"]) -> TokenClassifier:
    """The classifier of tokens, or of the ends of answers, that `save_pretrained` or Hugging Face wrote."""
    written, encoder, tensors = _read_whole(folder)
    classifier = (
        SpanClassifier(encoder)
        if head == "spans"
        else TokenClassifier(encoder, num_labels=_num_labels(written), dropout=_head_dropout(written))
    )
    kind: Kind = "question_answering" if head == "spans" else "token_classification"
    _fill_head(classifier.head, tensors, encoder, kind, folder, written)
    return classifier


def _read_whole(folder: Path) -> tuple[dict[str, Any], Encoder, dict[str, Tensor]]:
    """A folder's config.json, its encoder, and all its tensors."""
    written = read_config(folder)
    encoder = _empty(written, from_config(written, folder))
    tensors = read_tensors(folder)
    fill(encoder, encoder_state(tensors, encoder, folder), folder)
    return written, encoder, tensors


def _num_labels(written: Mapping[str, Any]) -> int:
    labels = written.get("id2label")
    return len(labels) if isinstance(labels, dict) else int(written.get("num_labels", 2))


def _head_dropout(written: Mapping[str, Any]) -> float | None:
    dropout = written.get("classifier_dropout")
    return None if dropout is None else float(dropout)


def _fill_head(
    head: nn.Module,
    tensors: Mapping[str, Tensor],
    encoder: Encoder,
    kind: Kind,
    folder: Path,
    written: Mapping[str, Any],
) -> None:
    names = {name: head_name(name, encoder.config.family, kind) for name in head.state_dict()}
    if missing := sorted(set(names.values()) - tensors.keys()):
        raise UserError(
            f"{folder / WEIGHTS}: no {missing[0]}; this is no {_CALLED[kind]} "
            f"(architectures {written.get('architectures')}); give a fine-tuned folder"
        )
    fill(head, {ours: tensors[theirs] for ours, theirs in names.items()}, folder)


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
    check_layers(
        tensors, f"{prefix}encoder.layer.", num_layers=encoder.config.num_layers, weights=folder / WEIGHTS
    )
    state: dict[str, Tensor] = {}
    for ours in encoder.state_dict():
        theirs = list(rename_encoder({ours: torch.empty(3)}, prefix=prefix))
        if missing := [name for name in theirs if name not in tensors]:
            raise UserError(f"{folder / WEIGHTS}: no tensor {missing[0]}; make the folder again")
        state[ours] = torch.cat([tensors[name] for name in theirs])
    return state
