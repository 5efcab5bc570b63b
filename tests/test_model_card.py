"""The model card: a header that Hugging Face reads, the run's facts, the same bytes wherever it ran."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from seedbed.config import Machine
from seedbed.model_card import CARD, load_lines, write_card
from seedbed.workspace import Workspace, hash_folder


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    tokens = tmp_path / "data/tokens/한글"
    tokens.mkdir(parents=True)
    splits = {"train": {"documents": 1200, "tokens": 34567}, "valid": {"documents": 7, "tokens": 89}}
    licences = {"MIT": 1207}
    (tokens / "manifest.json").write_text(json.dumps({"splits": splits, "licences": licences}))
    return Workspace(
        root=tmp_path,
        verb="pretrain",
        run="tiny",
        machine=Machine(),
        out=tmp_path / "out",
        scratch=tmp_path / "scratch",
        fingerprint="0" * 16,
        lock_digest="",
        flat_recipe={"seed": "1", "start.checkpoint": "/home/somebody/bert"},
        inputs={"tokenize/한글": tokens, "pretrain//home/somebody/bert": tokens},
    )


def card(place: Workspace, folder: Path) -> str:
    folder.mkdir(parents=True)
    write_card(
        folder,
        place,
        facts={"parameters trained": 1234567, "FLOP of all steps": 1.5e12},
        metrics={"valid/loss": 1.25, "seconds": 3.0},
        tags=["bert", "masked_lm"],
        load=load_lines({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "models/pretrain/tiny"),
        limits=["It reads at most 128 tokens."],
    )
    return (folder / CARD).read_text(encoding="utf-8")


def test_what_it_says(place: Workspace, tmp_path: Path) -> None:
    text = card(place, tmp_path / "a")
    found = ModelCard(text)
    assert found.data.to_dict() == {
        "library_name": "transformers",
        "license": "other",
        "license_name": "MIT",
        "tags": ["seedbed", "bert", "masked_lm"],
    }
    digest = hash_folder(place.inputs["tokenize/한글"])
    for line in (
        "| parameters trained | 1,234,567 |",
        "| FLOP of all steps | 1.5e+12 |",
        f"| tokenize/한글 | train: 1,200 documents, 34,567 tokens; valid: 7 documents, 89 tokens | `{digest}` |",
        "| MIT | 1,207 |",
        "| valid/loss | 1.25 |",
        'model = BertForMaskedLM.from_pretrained("models/pretrain/tiny")',
        "- It reads at most 128 tokens.",
        "seed: 1",
        "start.checkpoint: bert",
    ):
        assert line in text.splitlines(), line
    assert "somebody" not in text and "seconds" not in text


def test_what_transformers_does_not_know_is_not_loaded_with_it() -> None:
    assert load_lines({"model_type": "elmo", "architectures": ["Elmo"]}, "models/pretrain/tiny") == ""


def test_the_same_bytes_wherever_it_ran(place: Workspace, tmp_path: Path) -> None:
    elsewhere = replace(place, scratch=tmp_path / "x", out=tmp_path / "y", machine=Machine(threads=7))
    assert card(place, tmp_path / "a") == card(elsewhere, tmp_path / "b")


def test_what_is_not_known_is_not_said(place: Workspace, tmp_path: Path) -> None:
    tokens = place.inputs["tokenize/한글"]
    (tokens / "manifest.json").write_text(json.dumps({"licences": {"MIT": 1, "Apache-2.0": 2}}))
    two = yaml.safe_load(card(place, tmp_path / "two").split("---")[1])
    assert "license" not in two and "language" not in two
    (tokens / "manifest.json").unlink()
    assert "icence" not in card(place, tmp_path / "none")
