"""An ELMo as a folder. transformers has no such class: the layout is theirs, keys and names are ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models.checkpoint_folder import WEIGHTS, fill, read_config, read_tensors, write_folder
from seedbed.models.elmo import Elmo, ElmoConfig
from seedbed.models.elmo_classifier import ElmoClassifier, ElmoClassifierHead, ElmoTokenClassifier
from seedbed.models.layout import CONFIG

MODEL_TYPE = "elmo"


def to_config(elmo: Elmo) -> dict[str, Any]:
    """What `from_config` reads."""
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["Elmo"],
        "torch_dtype": "float32",
        "vocab_size": elmo.output.out_features,
        **elmo.config.model_dump(mode="json", exclude={"name"}),
    }


def from_config(written: Mapping[str, Any], folder: Path) -> tuple[ElmoConfig, int]:
    """The sizes, and how many words are predicted."""
    path = folder / CONFIG
    if written.get("model_type") != MODEL_TYPE:
        raise UserError(
            f"{path}: model_type {written.get('model_type')!r}, expected {MODEL_TYPE!r}; "
            "give a folder that objective bidirectional_lm made"
        )
    size = written.get("vocab_size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UserError(f"{path}: vocab_size is {size!r}, expected a number; make the folder again")
    known = {key: value for key, value in written.items() if key in ElmoConfig.model_fields}
    return ElmoConfig.parse({"name": "elmo", **known}, str(path)), size


def save_elmo(folder: Path, elmo: Elmo) -> None:
    """Write an ELMo with its output matrix; only `load_elmo` reads it."""
    write_folder(folder, elmo.state_dict(), to_config(elmo))


def save_elmo_classifier(folder: Path, classifier: ElmoClassifier, *, labels: Sequence[str] | None) -> None:
    """Write a classifier with the ELMo it reads; only `load_elmo_classifier` reads it."""
    names = [f"LABEL_{index}" for index in range(classifier.out.out_features)] if labels is None else labels
    config = to_config(classifier.elmo) | {
        "architectures": [type(classifier).__name__],
        "head": classifier.config.model_dump(mode="json"),
        "id2label": {str(index): label for index, label in enumerate(names)},
    }
    write_folder(folder, classifier.state_dict(), config)


def load_elmo(folder: Path) -> Elmo:
    """The ELMo that `save_elmo` wrote."""
    elmo = _empty_elmo(read_config(folder), folder)
    fill(elmo, _exactly(read_tensors(folder), elmo, folder), folder)
    return elmo


def load_elmo_classifier(folder: Path, *, tokens: bool = False) -> ElmoClassifier:
    """The classifier that `save_elmo_classifier` wrote; `tokens`: one that answers for each word."""
    written = read_config(folder)
    config = ElmoClassifierHead.parse(written.get("head"), f"{folder / CONFIG}: head")
    labels = written.get("id2label")
    if not isinstance(labels, dict):
        raise UserError(f"{folder / CONFIG}: no id2label; give a fine-tuned folder")
    kind = ElmoTokenClassifier if tokens else ElmoClassifier
    if (found := written.get("architectures")) != [kind.__name__]:
        raise UserError(
            f"{folder / CONFIG}: architectures {found}, the task asks for {kind.__name__}; fine-tune it again"
        )
    classifier = kind(_empty_elmo(written, folder), config, num_labels=len(labels))
    fill(classifier, _exactly(read_tensors(folder), classifier, folder), folder)
    return classifier


def _empty_elmo(written: Mapping[str, Any], folder: Path) -> Elmo:
    config, size = from_config(written, folder)
    return Elmo(config, vocabulary_size=size)


def _exactly(tensors: Mapping[str, Tensor], module: nn.Module, folder: Path) -> Mapping[str, Tensor]:
    """The tensors, which are those of `module` and no others."""
    if wrong := sorted(tensors.keys() ^ module.state_dict().keys()):
        raise UserError(
            f"{folder / WEIGHTS}: {'no' if wrong[0] not in tensors else 'unknown'} tensor {wrong[0]}; "
            "make the folder again"
        )
    return tensors
