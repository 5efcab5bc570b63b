"""What happens around the steps: logging, validation, checkpoints, progress and stopping."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from seedbed import progress as progress_bar
from seedbed.config import Interrupted, UserError
from seedbed.learner import Batch
from seedbed.tracking import Run
from seedbed.training import checkpoint
from seedbed.training.interruption import StopFlag
from seedbed.training.module import TrainingModule
from seedbed.training.validation import predict_scores

OnValid = Callable[[int, dict[str, float]], None]


class Bookkeeper(pl.Callback):
    """Runs at the end of every step; holds the only mutable state beside weights and optimizer."""

    def __init__(
        self,
        *,
        folder: Path,
        state: checkpoint.Progress,
        valid: Callable[[], Iterator[Batch]],
        tracker: Run,
        label: str,
        example_tokens: int,
        checkpoint_seconds: float,
        on_valid: OnValid | None,
    ) -> None:
        self._folder, self.state, self._valid, self._tracker = folder, state, valid, tracker
        self._label, self._example_tokens, self._on_valid = label, example_tokens, on_valid
        self._checkpoint_seconds = checkpoint_seconds
        self._saved_at = time.monotonic()
        self._flag = StopFlag()
        self._clock = (time.monotonic(), state.step)
        self._bar: progress_bar.Progress | None = None
        self.interrupted = False
        self.diverged: str | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = _module(pl_module)
        self._flag.install()
        module.sums = {name: torch.tensor(v, dtype=torch.float64) for name, v in self.state.pending.items()}
        module.sums = {name: value.to(module.device) for name, value in module.sums.items()}
        module.count = self.state.pending_count
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
        step, micro = module.plan.locate(batch_idx)
        if micro != module.plan.accumulation - 1:
            return
        recipe = module.recipe
        self.state.step = step + 1
        last = self.state.step == recipe.max_steps
        facts: dict[str, float] = {}
        if self.state.step % recipe.log_every == 0 or last:
            facts = self._log(module)
            if not math.isfinite(facts["loss"]):
                self.diverged = self._divergence(module, facts["loss"])
                trainer.should_stop = True
                return
        if last or (recipe.validate_every and self.state.step % recipe.validate_every == 0):
            self._validate(module)
        if self._bar:
            self._bar.update(1, **facts)
        stop = self._flag.raised
        if module.plan.world_size > 1:
            stop = bool(trainer.strategy.reduce_boolean_decision(stop, all=False))
        due = time.monotonic() - self._saved_at >= self._checkpoint_seconds
        if (due or last or stop) and trainer.is_global_zero:
            self._save(module)
        if stop and not last:
            self.interrupted = True
            trainer.should_stop = True

    def close(self) -> None:
        self._flag.restore_defaults()
        if self._bar:
            self._bar.close()

    def _record(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self.state.curves.append((self.state.step, name, value))
        self._tracker.log_metrics(metrics, step=self.state.step)

    def _log(self, module: TrainingModule) -> dict[str, float]:
        """Mean losses since the last log, over all ranks; their one host sync per `log_every` steps."""
        names = sorted(module.sums)
        totals = torch.stack([module.sums[name] for name in names])
        count = module.count
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(totals)
            count *= module.plan.world_size
        means = {name: float(total) / count for name, total in zip(names, totals, strict=True)}
        module.sums, module.count = {}, 0
        if math.isfinite(means["loss"]):
            self._record({f"train/{name}": value for name, value in means.items()})
            # of the step just made, the highest of its groups; tracked only, since the recipe says it
            highest = max(group["lr"] for group in module.raw_optimizer.param_groups)
            self._tracker.log_metrics({"learning_rate": highest}, step=self.state.step)
            self._log_speed(module)
        return means

    def _log_speed(self, module: TrainingModule) -> None:
        now, step = time.monotonic(), self.state.step
        seconds, steps = now - self._clock[0], step - self._clock[1]
        self._clock = (now, step)
        tokens = steps * module.recipe.global_batch_size * self._example_tokens
        # a clock reading: tracked, but never part of an artifact
        self._tracker.log_metrics({"speed/tokens_per_second": tokens / max(seconds, 1e-9)}, step=step)

    def _validate(self, module: TrainingModule) -> None:
        accumulator = predict_scores(module.learner, self._valid(), precision=module.recipe.precision)
        results = {f"valid/{name}": value for name, value in accumulator.results().items()}
        self._record(results)
        self._clock = (time.monotonic(), self.state.step)
        if self._on_valid:
            self._on_valid(self.state.step, results)

    def _save(self, module: TrainingModule) -> None:
        self.state.pending = {name: float(value) for name, value in module.sums.items()}
        self.state.pending_count = module.count
        checkpoint.save(self._folder, module.learner, module.raw_optimizer, self.state)
        self._saved_at = time.monotonic()

    def _divergence(self, module: TrainingModule, loss: float) -> str:
        first = self.state.step * module.recipe.global_batch_size
        return (
            f"{self._label}: loss is {loss} at step {self.state.step} (presentations before {first}); "
            f"the last good checkpoint is kept in {self._folder}; lower optimizer.learning_rate "
            "or gradient_clip"
        )

    def raise_faults(self) -> None:
        """Tell, outside Lightning, why training stopped before its end."""
        if self.diverged:
            raise UserError(self.diverged)
        if self.interrupted:
            raise Interrupted(f"{self._label}: stopped after step {self.state.step}, state saved")


def _module(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module
