"""The command line: light help, one clear line for mistakes, exit codes that tell."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seedbed import __main__ as cli
from seedbed.config import VERBS, Interrupted, UserError


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from seedbed.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pytorch_lightning', 'mlflow', 'hydra', 'optuna', 'transformers', 'polars', 'numpy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for verb in (*VERBS, "generate", "score", "deliver"):
        assert f"\n  {verb} " in done.stdout


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (UserError("pretrain.a.b: unknown key"), 2, "seedbed: pretrain.a.b: unknown key"),
        (Interrupted("pretrain a: stopped at step 3 of 9"), 75, "run the same command to continue"),
        (KeyboardInterrupt(), 130, "run the same command to continue"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/x"),
            2,
            "data/x: the disk is full; free some space",
        ),
        (
            OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/mnt/scratch"),
            2,
            "/mnt/scratch: no such file or folder; make it",
        ),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "models"), 2, "models: the file system is read-only"),
    ],
)
def test_faults_are_one_line_and_an_exit_code(
    fault: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(verb: str, arguments: list[str]) -> None:
        raise fault

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main(["compose"]) == code
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1 and "Traceback" not in error


@pytest.mark.parametrize(
    ("verb", "number"), [("finetune", signal.SIGTERM), ("tune", signal.SIGUSR1), ("tokenize", signal.SIGTERM)]
)
def test_a_stop_before_anything_trains_is_one_line_too(
    verb: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_dispatch", lambda verb, arguments: os.kill(os.getpid(), number))
    assert cli.main([verb, "mine", "max_steps=3"]) == 75
    error = capsys.readouterr().err
    assert error.startswith(f"seedbed: {verb} mine: stopped on request") and error.count("\n") == 1


def test_what_does_not_train_is_left_to_finish_on_sigusr1(monkeypatch: pytest.MonkeyPatch) -> None:
    """jobs/pipeline.sh has it ignored there, and sends SIGTERM in the end."""
    before, found = signal.getsignal(signal.SIGUSR1), []
    monkeypatch.setattr(cli, "_dispatch", lambda *_: found.append(signal.getsignal(signal.SIGUSR1)))
    assert cli.main(["tokenize", "mine"]) == 0
    assert found == [before]


def test_a_verb_without_its_run_or_with_too_much_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    assert cli.main(["pretrain"]) == 2
    assert "pretrain: which run?" in capsys.readouterr().err
    assert cli.main(["pretrain", "seed=1"]) == 2
    assert cli.main(["compose", "x"]) == 2
    assert "compose: takes no more arguments, got 'x'" in capsys.readouterr().err


def test_a_folder_that_is_no_project_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compose"]) == 2
    assert "no machine file" in capsys.readouterr().err
