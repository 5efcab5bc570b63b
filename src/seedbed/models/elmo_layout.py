"""config.json of an ELMo. transformers has no such class: the layout is theirs, keys and names are ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedbed.config import UserError
from seedbed.models.elmo import Elmo, ElmoConfig
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
