"""The page of deviations is current, complete and names files that exist."""

import ast
from pathlib import Path

import pytest

from docs import fidelity

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_current() -> None:
    assert fidelity.main(["--check"]) == 0, "run make docs, commit docs/fidelity.md"


def test_every_module_that_tells_deviations_is_gathered() -> None:
    telling = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DEVIATIONS":
                telling.add(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))
    gathered = {module for entries in fidelity.collected().values() for module, _ in entries}
    assert telling and gathered == telling, "DEVIATIONS belong beside a class that a recipe can reach"


def test_every_entry_is_whole() -> None:
    found = fidelity.collected()
    assert {"BERT", "ELECTRA", "RoBERTa"} <= found.keys()
    for system, entries in found.items():
        seen = set()
        for module, entry in entries:
            assert all(part.strip() and part == part.strip() for part in entry), (system, module, entry)
            assert all(part.endswith(".") for part in (entry.theirs, entry.ours, entry.why)), entry
            assert not entry.source.endswith("."), entry
            assert (entry.theirs, entry.ours) not in seen
            seen.add((entry.theirs, entry.ours))


@pytest.mark.parametrize("name", fidelity.recipes())
def test_every_recipe_says_where_it_is_from(name: str) -> None:
    assert len(fidelity.comment(name)) > 30, (
        f"conf/pretrain/{name}.yaml: begin with a comment: what, from where"
    )
    other = fidelity.held_against(name, fidelity.recipes())
    assert other in {None, *fidelity.recipes()}
    if other is not None:
        assert fidelity.composed(name) != fidelity.composed(other)


def test_what_a_recipe_is_held_against() -> None:
    known = ["electra_small", "electra_base", "gpt_tiny"]
    assert fidelity.held_against("electra_small-as_published", known) == "electra_small"
    assert fidelity.held_against("electra_tiny", known) == "electra_small"
    assert fidelity.held_against("electra_base", known) is None
    assert fidelity.held_against("gpt_tiny", known) is None
    decoders = ["gpt1", "gpt1_tiny", "gpt_j_6b", "gpt_j_tiny", "gpt_neo_125m", "gpt_neo_tiny"]
    assert fidelity.held_against("gpt_neo_tiny", decoders) == "gpt_neo_125m"
    assert fidelity.held_against("gpt1_tiny", decoders) == "gpt1"
    assert fidelity.held_against("gpt_j_6b", decoders) is None


def test_an_outdated_page_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fidelity, "PAGE", tmp_path / "fidelity.md")
    assert fidelity.main(["--check"]) == 1 and "run make docs" in capsys.readouterr().err
    assert fidelity.main([]) == 0 and fidelity.main(["--check"]) == 0
