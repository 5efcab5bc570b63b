"""A checkpoint folder: config.json and tensors, written, and read without running anything of it.

Safetensors and JSON alone: a pickle can run code when it is read, and `auto_map` asks to run the folder's
own. Links are followed: hubs and DVC keep files in a cache and link to them.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from seedbed.config import UserError
from seedbed.models.layout import CONFIG
from seedbed.weights import write_weights
from seedbed.workspace import write_json

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json; whatever asks to run code, or cannot be read, is a UserError."""
    path = folder / CONFIG
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; give a folder in the Hugging Face layout") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; make the folder again") from None
    if not isinstance(written, dict):
        raise UserError(f"{path}: a {type(written).__name__}, expected an object; make the folder again")
    if "auto_map" in written:
        raise UserError(f"{path}: auto_map asks to run code of the folder, which is never done; remove it")
    return written


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a folder, from one file or from shards, under today's names."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for name in _weight_files(folder):
        try:
            tensors |= load_file(folder / name)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{folder / name}: not safetensors ({error}); copy it again") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"{folder / WEIGHTS}: {name} holds NaN or infinity; copy or make the folder again"
            )
    # Checkpoints converted from TensorFlow name the norm's parameters gamma and beta.
    old = {".gamma": ".weight", ".beta": ".bias"}
    return {
        next((name.removesuffix(a) + b for a, b in old.items() if name.endswith(a)), name): tensor
        for name, tensor in tensors.items()
    }


def _weight_files(folder: Path) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        reason = f"; {pickled[0]} is a pickle, which can run code and is never read" if pickled else ""
        raise UserError(f"{folder / WEIGHTS}: no such file{reason}; give weights as safetensors")
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted({str(name) for name in weight_map.values()})
    except (ValueError, KeyError, AttributeError):
        raise UserError(f"{index}: no weight_map in it; make the folder again") from None
    if outside := [name for name in files if Path(name).name != name]:
        raise UserError(f"{index}: {outside[0]!r} is outside the folder; make the folder again")
    return files


def check_layers(names: Iterable[str], before: str, *, num_layers: int, weights: Path) -> None:
    """Refuse weights of more layers than the config counts: half a model is another model.

    A layer's number stands right behind `before` in its tensors' names.
    """
    numbers = {name.removeprefix(before).partition(".")[0] for name in names if name.startswith(before)}
    found = max((int(number) for number in numbers if number.isdecimal()), default=-1) + 1
    if found > num_layers:
        raise UserError(f"{weights}: {found} layers, {CONFIG} says {num_layers}; make the folder again")


def write_folder(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """config.json and the tensors in fp32; the same tensors give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(
        folder / WEIGHTS,
        {name: tensor.float() for name, tensor in tensors.items()},
        metadata={"format": "pt"},
    )
    write_json(folder / CONFIG, config)


def fill(module: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Give the module these tensors; another shape than its own is a UserError."""
    for name, parameter in module.state_dict().items():
        if parameter.shape != state[name].shape:
            raise UserError(
                f"{folder / WEIGHTS}: {name} has shape {tuple(state[name].shape)}, {CONFIG} says "
                f"{tuple(parameter.shape)}; make the folder again"
            )
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()})
