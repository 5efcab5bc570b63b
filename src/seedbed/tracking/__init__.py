"""Tracking: journal first, MLflow later, never in the way of training (design.md section 4).

with open_run(workspace) as run:
    run.log_metrics({"valid/loss": 1.0}, step=10)
    with run.child("seed-0") as seed: ...
"""

from seedbed.tracking.delivery import deliver_all
from seedbed.tracking.run import Run, SilentRun, adopting, open_run

__all__ = ["Run", "SilentRun", "adopting", "deliver_all", "open_run"]
