"""For stage tests: a tracker that remembers the numbers by child run ("" for the run itself), a small project."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from seedbed.models import save_decoder
from seedbed.process import THREAD_COUNTS
from seedbed.tokenization import Vocabulary, copy_tokenizer
from seedbed.workspace import Workspace
from tests.data.bilingual import write_tokens
from tests.models.decoders import small_gpt
from tests.models.families import shake
from tests.stages.table import REPOSITORY

THREAD_VARIABLES = (*THREAD_COUNTS, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


class Tracked:
    def __init__(self, runs: dict[str, dict[str, float]] | None = None, name: str = "") -> None:
        self.runs: dict[str, dict[str, float]] = {} if runs is None else runs
        self.name = name
        self.params: dict[str, dict[str, int]] = {}

    @property
    def metrics(self) -> dict[str, float]:
        return self.runs.setdefault(self.name, {})

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        self.metrics.update(metrics)

    def log_params(self, params: dict[str, int]) -> None:
        self.params.setdefault(self.name, {}).update(params)

    @contextmanager
    def child(self, name: str) -> Iterator["Tracked"]:
        made = Tracked(self.runs, name)
        made.params = self.params
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The repository's own params.yaml and conf/, to be changed."""
    shutil.copytree(REPOSITORY / "conf", tmp_path / "conf")
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def track(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], Tracked]:
    """Put a Tracked where a stage module opens its run."""

    def put(stage: ModuleType) -> Tracked:
        made = Tracked()

        @contextmanager
        def open_run(workspace: Workspace, label: str | None = None) -> Iterator[Tracked]:
            yield made

        monkeypatch.setattr(stage, "open_run", open_run)
        # stages set the libraries' threads by environment: put it back after the test
        for name in ("RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
            monkeypatch.setenv(name, "1")
        return made

    return put


@pytest.fixture(scope="session")
def decoder_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a machine file and one pretrained decoder, gpt_neo_tiny, of 64 positions."""
    root = tmp_path_factory.mktemp("project")
    machine = root / "conf/machine/local.yaml"
    machine.parent.mkdir(parents=True)
    machine.write_text("threads: 1\n")
    tokens = write_tokens(root / "tokens")
    decoder = small_gpt("gpt_neo", max_length=64).build(Vocabulary.load(tokens / "tokenizer"))
    shake(decoder)
    out = root / "models/pretrain/gpt_neo_tiny"
    save_decoder(out, decoder)
    copy_tokenizer(tokens / "tokenizer", out)
    return root


@pytest.fixture
def inside_decoder_project(decoder_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(decoder_project)
    # the command line sets these for the libraries: put them back after the test
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
