"""A classifier on a decoder as a folder: transformers' `...ForSequenceClassification` of its family.

Its class reads the last token that is not padding, by one matrix without bias: what ours does, where a pair
is read in one order. The order of the other kind is a key of ours, `swapped_at`.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from seedbed.config import UserError
from seedbed.models import decoder_layout
from seedbed.models.checkpoint_folder import WEIGHTS, fill, read_config, read_tensors, write_folder
from seedbed.models.decoder_classifier import DecoderClassifier
from seedbed.models.interchange import load_decoder
from seedbed.models.layout import CONFIG

HEAD = "score.weight"


def save_decoder_classifier(
    folder: Path, classifier: DecoderClassifier, *, labels: Sequence[str] | None, pad_id: int
) -> None:
    """The same tensors give the same bytes; `pad_id` is what rows were padded with."""
    decoder = classifier.decoder
    written = decoder_layout.to_config(decoder)
    name = written["architectures"][0].removesuffix("LMHeadModel").removesuffix("ForCausalLM")
    names = [f"LABEL_{index}" for index in range(classifier.num_labels)] if labels is None else labels
    written |= {
        "architectures": [f"{name}ForSequenceClassification"],
        "pad_token_id": pad_id,
        "id2label": {str(index): label for index, label in enumerate(names)},
        "label2id": {label: index for index, label in enumerate(names)},
        "classifier_dropout": classifier.dropout,
        "swapped_at": classifier.swapped_at,
    }
    tensors = decoder_layout.decoder_tensors(decoder.state_dict(), decoder.config)
    write_folder(folder, tensors | {HEAD: classifier.out.weight}, written)


def load_decoder_classifier(folder: Path) -> DecoderClassifier:
    """The classifier that `save_decoder_classifier` or Hugging Face wrote."""
    written, tensors = read_config(folder), read_tensors(folder)
    if HEAD not in tensors:
        raise UserError(
            f"{folder / WEIGHTS}: no {HEAD}; this is no sequence classifier (architectures "
            f"{written.get('architectures')}); give a fine-tuned folder"
        )
    swapped_at, rate = written.get("swapped_at"), written.get("classifier_dropout") or 0.0
    if not isinstance(swapped_at, int | None) or not isinstance(rate, int | float):
        raise UserError(f"{folder / CONFIG}: swapped_at {swapped_at!r}, classifier_dropout {rate!r}; "
                        "expected numbers, make the folder again")  # fmt: skip
    classifier = DecoderClassifier(
        load_decoder(folder), num_labels=len(tensors[HEAD]), dropout=float(rate), swapped_at=swapped_at
    )
    head: nn.Module = classifier.out
    fill(head, {"weight": tensors[HEAD]}, folder)
    return classifier
