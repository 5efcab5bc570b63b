"""README.md of a model's folder, with Hugging Face's header: the run's own facts, nothing else.

Mitchell et al. 2019 (arXiv 1810.03993) name the parts of a model card. The same run writes the same bytes: no
times, no machine, no absolute paths.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from seedbed.workspace import Workspace, hash_file, hash_folder, hash_json

CARD = "README.md"
PACKAGES = ("seedbed", "torch", "pytorch-lightning", "tokenizers", "safetensors")
READ = ("train", "valid")
"""The splits of a corpus that a training run reads."""
OURS = ("elmo",)
"""Model types that transformers does not know."""
Value = str | int | float


def write_card(
    folder: Path,
    workspace: Workspace,
    *,
    facts: Mapping[str, Value],
    metrics: Mapping[str, float],
    tags: Sequence[str],
    load: str = "",
    limits: Sequence[str] = (),
    digests: Mapping[str, str] | None = None,
) -> None:
    """Write the card of what `folder` holds.

    `facts` are rows of the first table, `load` the lines that open the model, `limits` what it cannot do and
    what was not measured. `digests` are hashes of what was read of inputs ("verb/run"); otherwise they are of
    the whole folder, less the test split, which no training run reads.
    """
    manifests = {name: _manifest(path) for name, path in workspace.inputs.items()}
    parts = [
        _header(tags, manifests, transformers="from transformers" in load),
        f"# {workspace.run}\n\nMade by `seedbed {workspace.verb} {workspace.run}`.",
    ]
    if load:
        parts.append(f"## Load\n\n```python\n{load}\n```")
    parts.append("## What it is\n\n" + _table(("fact", "value"), [(k, _text(v)) for k, v in facts.items()]))
    parts.append("## Data\n\n" + _data(workspace, manifests, digests or {}))
    if metrics:
        rows = [(name, _text(value)) for name, value in sorted(metrics.items()) if "/" in name]
        parts.append("## Results\n\n" + _table(("metric", "value"), rows or [("none", "")]))
    if limits:
        parts.append("## Limits\n\n" + "\n".join(f"- {line}" for line in limits))
    recipe = "\n".join(f"{key}: {_portable(value)}" for key, value in sorted(workspace.flat_recipe.items()))
    parts.append(f"## Recipe\n\n```\n{recipe}\n```")
    parts.append("## Versions\n\n" + _table(("package", "version"), _versions()))
    (folder / CARD).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def load_lines(config: Mapping[str, Any], place: str) -> str:
    """How transformers opens a folder of ours with this config.json; nothing where it has no such class."""
    if config["model_type"] in OURS:
        return ""
    class_name = config["architectures"][0]
    return (
        f"from transformers import AutoTokenizer, {class_name}\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{place}")\n'
        f'model = {class_name}.from_pretrained("{place}")'
    )


def _header(tags: Sequence[str], manifests: Mapping[str, dict[str, Any]], *, transformers: bool) -> str:
    header: dict[str, Any] = {"library_name": "transformers"} if transformers else {}
    licences = sorted({name for manifest in manifests.values() for name in manifest.get("licences", {})})
    if len(licences) == 1:
        header |= {"license": "other", "license_name": licences[0]}
    languages = sorted({str(m["language"]) for m in manifests.values() if m.get("language")})
    if languages:
        header["language"] = languages
    header["tags"] = ["seedbed", *tags]
    return "---\n" + yaml.safe_dump(header, sort_keys=True, allow_unicode=True) + "---"


def _data(workspace: Workspace, manifests: Mapping[str, dict[str, Any]], digests: Mapping[str, str]) -> str:
    """Each input with its content's hash, and what its manifest counts."""
    rows = []
    for name, path in sorted(workspace.inputs.items()):
        found = digests.get(name) or _digest(path)
        rows.append((_portable(name), _counts(manifests[name]), f"`{found}`"))
    text = _table(("input", "what", "sha256 of what was read"), rows)
    licences = {k: v for m in manifests.values() for k, v in m.get("licences", {}).items()}
    if licences:
        listed = [(name, _text(count)) for name, count in sorted(licences.items())]
        text += "\n\nLicences of the documents, as their sources state them:\n\n"
        text += _table(("licence", "documents"), listed)
    return text


def _digest(path: Path) -> str:
    if path.is_file():
        return hash_file(path)
    read = [path / f"{split}.jsonl" for split in READ]
    if all(file.is_file() for file in read):
        return hash_json([[file.name, hash_file(file)] for file in read])
    return hash_folder(path)


def _counts(manifest: dict[str, Any]) -> str:
    """Documents and tokens by split, from a manifest of tokens or of a corpus."""
    splits = manifest.get("splits")
    if isinstance(splits, dict):
        found = [
            f"{split}: {facts['documents']:,} documents, {facts['tokens']:,} tokens"
            for split, facts in sorted(splits.items())
        ]
    else:
        documents = manifest.get("documents")
        counted = documents if isinstance(documents, dict) else {}
        found = [f"{split}: {count:,} documents" for split, count in counted.items() if split in READ]
    return "; ".join(found)


def _manifest(path: Path) -> dict[str, Any]:
    file = path / "manifest.json"
    value = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return value if isinstance(value, dict) else {}


def _versions() -> list[tuple[str, str]]:
    found = [("python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    return found


def _portable(value: str) -> str:
    """Without the folders of this machine that an absolute path begins with."""
    before, slash, rest = value.partition("//") if not value.startswith("/") else ("", "/", value)
    return f"{before}/{Path(rest).name}".removeprefix("/") if slash else value


def _text(value: Value) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else value


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
