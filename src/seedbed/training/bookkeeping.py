"""What happens around the steps: logging, validation, checkpoints, progress and stopping."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from seedbed import progress as progress_bar
from seedbed.config import Interrupted, UserError
from seedbed.data.presentations import Presentations
from seedbed.learner import Batch
from seedbed.tracking import Run
from seedbed.training import checkpoint, health
from seedbed.training.elapsed import Elapsed, read_elapsed, write_elapsed
from seedbed.training.interruption import StopFlag
from seedbed.training.module import TrainingModule
from seedbed.training.ranks import Agreement, gather
from seedbed.training.validation import predict_scores

OnValid = Callable[[int, dict[str, float]], None]


class Bookkeeper(pl.Callback):
    """Runs at the end of every step; holds the only mutable state beside weights and optimizer."""

    def __init__(
        self,
        *,
        folder: Path,
        state: checkpoint.Progress,
        data: Presentations,
        valid: Callable[[], Iterator[Batch]],
        tracker: Run,
        label: str,
        tokens_at: Callable[[int], int],
        checkpoint_seconds: float,
        on_valid: OnValid | None,
    ) -> None:
        self._folder, self.state, self._data, self._valid = folder, state, data, valid
        self._tracker, self._label, self._on_valid = tracker, label, on_valid
        self._tokens_at = tokens_at
        self._checkpoint_seconds = checkpoint_seconds
        self._saved_at = time.monotonic()
        self._flag = StopFlag()
        self._clock = (time.monotonic(), state.step)
        self._started_at = time.monotonic()
        self._seconds_before = read_elapsed(folder).seconds if state.step else 0.0
        self._bar: progress_bar.Progress | None = None
        self.interrupted = False
        self.fault: str | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = _module(pl_module)
        self._flag.install()
        self._agreement = Agreement()
        self._resume_sums(module)
        if self.state.step == 0 and module.recipe.validate_every:
            self._validate(module)
        self._clock = (time.monotonic(), self.state.step)
        self._bar = (
            progress_bar.Progress(self._label, module.recipe.max_steps, "step", done=self.state.step)
            if trainer.is_global_zero
            else None
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module = _module(pl_module)
        recipe = module.recipe
        self.state.step += 1
        last = self.state.step == recipe.max_steps
        facts: dict[str, float] = {}
        if self.state.step % recipe.log_every == 0 or last:
            facts = self._log(module)
        if not self.fault and (
            last or (recipe.validate_every and self.state.step % recipe.validate_every == 0)
        ):
            self._validate(module)
            if recipe.stopping and recipe.stopping.stops(self.state.curves):
                last = True
        if self._bar:
            self._bar.update(1, **facts)
        due = trainer.is_global_zero and time.monotonic() - self._saved_at >= self._checkpoint_seconds
        due, stop = self._agreement.any(due, self._flag.raised)
        if due or stop or last:
            self.fault = self.fault or self._non_finite(module)
            if not self.fault:
                self._save(module)
        self.interrupted = stop and not last
        if self.fault or self.interrupted or last:
            trainer.should_stop = True

    def close(self) -> None:
        self._flag.restore()
        if self._bar:
            self._bar.close()

    def _record(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.state.curves.append((self.state.step, name, value))
        self._tracker.log_metrics(metrics, step=self.state.step)

    def _log(self, module: TrainingModule) -> dict[str, float]:
        """Mean scalars of the steps since the last log; their one host sync per `log_every` steps."""
        self.fault = self._non_finite(module)
        if self.fault:
            return {}
        num_steps = self.state.step - self.state.logged_at
        means = {name: value / num_steps for name, value in _added(gather(_floats(module))).items()}
        module.sums, self.state.logged_at = {}, self.state.step
        self._record({f"train/{name}": value for name, value in means.items()})
        # of the step just made, the highest of its groups; tracked only, since the recipe says it
        highest = max(group["lr"] for group in module.raw_optimizer.param_groups)
        self._tracker.log_metrics({"learning_rate": highest}, step=self.state.step)
        self._log_speed(module)
        self.fault = health.divergence(self.state.curves)
        return means

    def _log_speed(self, module: TrainingModule) -> None:
        now, step = time.monotonic(), self.state.step
        seconds, steps = now - self._clock[0], step - self._clock[1]
        self._clock = (now, step)
        tokens = steps * module.recipe.global_batch_size * self._tokens_at(step - 1)
        # a clock reading: tracked, but never part of an artifact
        self._tracker.log_metrics({"speed/tokens_per_second": tokens / max(seconds, 1e-9)}, step=step)

    def _validate(self, module: TrainingModule) -> None:
        with module.average.in_place(self.state.step) if module.average else nullcontext():
            accumulator = predict_scores(module.learner, self._valid(), precision=module.recipe.precision)
            results = {f"valid/{name}": value for name, value in accumulator.results().items()}
            self._record(results)
            if module.selected:
                module.selected.consider(self.state.step, self.state.curves)
        self._clock = (time.monotonic(), self.state.step)
        if self._on_valid:
            self._on_valid(self.state.step, results)

    def _save(self, module: TrainingModule) -> None:
        self.state.pending = gather(_floats(module))
        checkpoint.save(
            self._folder,
            module.learner,
            module.raw_optimizer,
            self.state,
            average=module.averages(),
            selected=module.selection(),
        )
        if module.plan.rank == 0:
            seconds = self._seconds_before + time.monotonic() - self._started_at
            write_elapsed(self._folder, Elapsed(self.state.step, seconds))
        self._saved_at = time.monotonic()

    def _resume_sums(self, module: TrainingModule) -> None:
        """Each process takes up its own sums, or the first all of them when their number has changed."""
        pending, plan = self.state.pending, module.plan
        if len(pending) != plan.world_size:
            pending = [_added(pending)] + [{} for _ in range(1, plan.world_size)]
        module.sums = {
            name: torch.tensor(value, dtype=torch.float64, device=module.device)
            for name, value in pending[plan.rank].items()
        }

    def _non_finite(self, module: TrainingModule) -> str | None:
        """The fault of the first step since the last log whose loss was not finite, if there is one."""
        steps = [step for step in gather(int(module.lost_at)) if step >= 0]
        if not steps:
            return None
        size = module.recipe.global_batch_size
        return health.non_finite(min(steps), self._data.names(min(steps) * size, size))

    def raise_faults(self) -> None:
        """Tell, outside Lightning, why training stopped before its end."""
        if self.fault:
            kept = checkpoint.newest(self._folder)
            raise UserError(
                f"{self._label}: {self.fault}; the last good checkpoint is "
                f"{kept or f'none yet ({self._folder})'}; lower optimizer.learning_rate or gradient_clip"
            )
        if self.interrupted:
            raise Interrupted(f"{self._label}: stopped after step {self.state.step}, state saved")


def _floats(module: TrainingModule) -> dict[str, float]:
    names = sorted(module.sums)
    values = torch.stack([module.sums[name] for name in names]).tolist() if names else []
    return dict(zip(names, values, strict=True))


def _added(parts: list[dict[str, float]]) -> dict[str, float]:
    """The sums of all processes, in the order of their ranks."""
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _module(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module
