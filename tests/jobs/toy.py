"""A toy project around the real job scripts; `make setup`, `dvc` and `seedbed` are stand-ins.

The stand-in dvc starts a shell that starts a Python "training", as the real one does, so signals travel the
same way.
"""

import os
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Counts steps into a file; SIGUSR1 or SIGTERM: save and exit with 75, as training does.
TRAINING = """
import pathlib, signal, sys, time
asked = []
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, frame: asked.append(number))
state = pathlib.Path("state.txt")
step = int(state.read_text()) if state.exists() else 0
pathlib.Path("started.txt").write_text(str(step))
steps = int(pathlib.Path("steps.txt").read_text())
while step < steps:
    time.sleep(0.05)
    step += 1
    if asked:
        state.write_text(str(step))
        print("saved at", step, flush=True)
        sys.exit(75)
state.write_text(str(step))
sys.exit(int(pathlib.Path("code.txt").read_text()))
"""

# As dvc does: the stage runs in a shell, any failure of a stage becomes 255.
DVC = """#!/usr/bin/env bash
case $1 in
  repro) bash -c "{python} training.py; exit \\$?" || exit 255 ;;
esac
"""


def make_project(folder: Path, *, steps: int, code: int = 0) -> Path:
    """The real jobs/ and the stand-ins; the training lasts steps x 0.05 s and ends with `code`."""
    folder.mkdir()
    shutil.copytree(REPOSITORY / "jobs", folder / "jobs")
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (folder / "Makefile").write_text("setup:\n\t@echo set up\n")
    (folder / "training.py").write_text(TRAINING)
    (folder / "steps.txt").write_text(str(steps))
    (folder / "code.txt").write_text(str(code))
    for name, text in {
        "dvc": DVC.format(python=sys.executable),
        "seedbed": "#!/usr/bin/env bash\necho delivered\n",
    }.items():
        (binaries / name).write_text(text)
        os.chmod(binaries / name, 0o755)
    return folder
