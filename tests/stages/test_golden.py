"""A golden run: the curves of a tiny ELECTRA on real text, kept in golden.json.

To the bit on the kinds of machine that are listed there; to 1e-3 on any other, whose sums round otherwise.
After a change that is meant to change digits:  python -m tests.stages.test_golden
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from seedbed.config import Machine
from seedbed.objectives import PretrainRecipe
from seedbed.stages import compose
from seedbed.stages.pretrain import open_rows
from seedbed.tokenization import Vocabulary
from seedbed.tracking import SilentRun
from tests.data.bilingual import write_tokens

REPOSITORY = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden.json")
SETTINGS = {
    "encoder.max_length": 32,
    "encoder.hidden_size": 32,
    "encoder.intermediate_size": 64,
    "encoder.dropout": 0.1,
    "global_batch_size": 8,
    "max_steps": 12,
    "log_every": 3,
    "validate_every": 6,
    "precision": "fp32",
}
Curves = list[list[object]]


def kind_of_machine() -> str:
    """What decides how sums are rounded: the version of torch, the processor's kind, its instructions."""
    described = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    facts = dict(line.split("\t", 1) for line in described.splitlines() if "\t" in line)
    kind = [facts.get(name, ":").strip("\t: ") for name in ("vendor_id", "cpu family", "model")]
    version, instructions = torch.__version__.partition("+")[0], torch.backends.cpu.get_cpu_capability()
    return " ".join(["torch", version, *kind, instructions])


def curves(folder: Path) -> Curves:
    from seedbed.training.trainer import train

    tree = compose.compose_run(REPOSITORY, "pretrain", "electra_tiny", {"tokens": "declaration"}, SETTINGS)
    recipe = PretrainRecipe.parse(tree, "golden")
    write_tokens(folder)
    vocabulary = Vocabulary.load(folder / "tokenizer")
    rows = {split: open_rows(recipe, folder, vocabulary, split) for split in ("train", "valid")}
    trained = train(
        recipe.build(vocabulary),
        data=rows["train"],
        valid=lambda: rows["valid"].batches(16),
        recipe=recipe,
        example_tokens=32,
        machine=Machine(threads=1, tokens_per_device=4 * 32),
        scratch=folder / "scratch",
        tracker=SilentRun(),
        label="golden",
    )
    return [list(point) for point in trained.curves]


def test_the_golden_run(tmp_path: Path) -> None:
    golden: dict[str, Curves] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found, known = curves(tmp_path), golden.get(kind_of_machine())
    if known is not None:
        assert found == known
        return
    reference = next(iter(golden.values()))
    assert [point[:2] for point in found] == [point[:2] for point in reference]
    values, expected = ([point[2] for point in points] for points in (found, reference))
    assert values == pytest.approx(expected, rel=1e-3, abs=1e-3)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        made = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
        made[kind_of_machine()] = curves(Path(place))
        GOLDEN.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
