"""A training on two devices, as a user starts it: by a machine file, and by torchrun."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.project import make_project, run

pytestmark = pytest.mark.slow

MACHINE = """
accelerator: cpu
devices: 2
strategy: {strategy}
activation_checkpointing: {recomputes}
threads: 1
tokens_per_device: 512
scratch: .scratch
tracking_uri: sqlite:///mlflow.db
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("project"))
    (root / "ddp.yaml").write_text(MACHINE.format(strategy="ddp", recomputes="false"))
    (root / "fsdp.yaml").write_text(MACHINE.format(strategy="fsdp", recomputes="true"))
    run(root, "dvc", "repro", "tokenize")
    return root


def test_sharded_and_whole_give_the_same_model(project: Path) -> None:
    """Whole and started by the machine file, sharded and recomputed and started by torchrun; in fp32."""
    from transformers import AutoModel

    words = ("pretrain", "electra_tiny", "max_steps=8", "precision=fp32", "averaging=ema")
    sharded = ("torchrun", "--standalone", "--nproc-per-node=2", "-m", "seedbed", *words)
    ends = {"PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    run(project, "seedbed", *words, SEEDBED_MACHINE="ddp.yaml", **ends)
    [folder] = (project / ".scratch").rglob("metrics.json")
    whole = folder.parent.rename(project / "whole")
    for left in (project / ".scratch/pretrain").iterdir():
        left.rename(project / f"left-{left.name}")
    run(project, *sharded, SEEDBED_MACHINE="fsdp.yaml", **ends)
    [folder] = (project / ".scratch").rglob("metrics.json")
    metrics = [json.loads((path / "metrics.json").read_text()) for path in (whole, folder.parent)]
    assert metrics[1] == pytest.approx(metrics[0], rel=1e-4)
    networks = [AutoModel.from_pretrained(path) for path in (whole, folder.parent)]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert (one - other).abs().max() < 1e-5


def test_members_of_an_ensemble_are_spread_over_the_devices(tmp_path: Path) -> None:
    """One process and two write the same forecasts, up to what is left of tensors after whole vectors."""
    import polars as pl

    root = make_project(tmp_path)
    (root / "two.yaml").write_text(MACHINE.format(strategy="ddp", recomputes="false"))
    name = "nbeats_interpretable-classics"
    ends = {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
    run(root, "dvc", "repro", "fetch@classics")
    tables = []
    for machine in ("local", "two.yaml"):
        run(root, "seedbed", "forecast", name, "training.max_steps=6", SEEDBED_MACHINE=machine, **ends)
        [folder] = (root / ".scratch/forecast").iterdir()
        assert any(folder.rglob("members_*")) == (machine == "two.yaml")
        tables.append(pl.read_parquet(folder / "out/forecasts.parquet"))
        folder.rename(root / f"left-{machine}")
    one, two = tables
    assert one.select("unique_id", "ds").equals(two.select("unique_id", "ds"))
    assert two[name].to_list() == pytest.approx(one[name].to_list(), rel=1e-4)
