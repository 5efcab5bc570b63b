"""Train any Learner with Lightning, exactly resumable; devices are added here, in one written order.

Recomputed blocks, compiled code, sharded weights, then the optimizer of what these leave; autocast and what
processes tell each other are around each step.
"""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
from lightning_fabric.plugins import environments
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy

from seedbed.config import Machine, UserError, local_rank, rank_and_world
from seedbed.data.presentations import Presentations, steps
from seedbed.learner import Batch, Learner
from seedbed.tracking import Run
from seedbed.training import checkpoint
from seedbed.training.arithmetic import settle_arithmetic
from seedbed.training.bookkeeping import Bookkeeper, OnValid
from seedbed.training.module import Plan, TrainingModule
from seedbed.training.recipe import Training, accumulation
from seedbed.training.recomputation import recomputing
from seedbed.training.sharding import gather_weights


@dataclass(frozen=True)
class Trained:
    """The metrics of what the run ended with (`valid/...`, last `train/...`) and every logged point.

    With `recipe.selection` they are of the validation chosen, and `selected_step` says which.
    """

    metrics: dict[str, float]
    curves: list[tuple[int, str, float]]


def train(
    learner: Learner,
    *,
    data: Presentations,
    valid: Callable[[], Iterator[Batch]],
    recipe: Training,
    example_tokens: int,
    machine: Machine,
    scratch: Path,
    tracker: Run,
    label: str,
    on_valid: OnValid | None = None,
    depths: Mapping[str, int] | None = None,
    tokens_at: Callable[[int], int] | None = None,
    alone: bool = False,
) -> Trained:
    """Train `learner` in place for `recipe.max_steps` steps and score it on `valid`.

    `recipe.stopping` may end it before. With `recipe.averaging` it ends with the averaged weights, and
    these are scored. With `recipe.selection` it ends with the weights that were scored best.

    `example_tokens` is the size of one presentation in tokens (or points), for micro-batching and
    the speed; where it is not the same in every step it is the largest, and `tokens_at(step)` tells each.
    `depths` is the layer of each parameter, for `unfreezing` and an optimizer with `layer_decay`. State is
    kept in `scratch`; the same call after a kill continues bit for bit. `alone`: this process trains on its
    own device, whatever the others do; they need not call.
    Raises Interrupted after SIGTERM or SIGUSR1 (state saved), UserError when the loss diverges.
    """
    _quiet_lightning()
    settle_arithmetic(machine)
    rank, world = rank_and_world()
    if world != machine.world_size:
        raise UserError(
            f"{label}: the machine file asks for {machine.devices} devices x {machine.num_nodes} nodes, "
            f"but {world} process{'es were' if world > 1 else ' was'} started; correct devices and num_nodes "
            "or the job's number of tasks"
        )
    if alone:
        rank, world, machine = 0, 1, machine.model_copy(update={"devices": 1, "num_nodes": 1})
    shards = world > 1 and machine.strategy == "fsdp"
    if shards and recipe.optimizer.takes_whole_matrices:
        raise UserError(
            f"{label}: optimizer {recipe.optimizer.name} takes each matrix as a whole, and strategy fsdp "
            "cuts it; set strategy: ddp in the machine file, or take another optimizer"
        )
    folder = scratch / "checkpoints"
    found = checkpoint.find(folder)
    state = found.progress if found else checkpoint.Progress()
    enough = recipe.stopping is not None and recipe.stopping.stops(state.curves)
    if found and (enough or state.step == recipe.max_steps):
        found.restore_result(learner)
        return _trained(state, recipe)
    batch_scale = recipe.optimizer.batch_scale(recipe.global_batch_size)
    _tell_scaling(recipe, tracker, label, rank)
    if recipe.averaging and rank == 0:
        print(f"{label}: validated and saved are averages of weights ({recipe.averaging!r})", flush=True)
    plan = Plan.divide(
        recipe.global_batch_size,
        world_size=world,
        rank=rank,
        accumulation=accumulation(recipe, machine, example_tokens, label),
        start_step=state.step,
    )
    # a sharded network is never whole again: the twin is trained, and its weights come back at the end
    trained = copy.deepcopy(learner) if shards else learner
    module = TrainingModule(
        trained,
        recipe=recipe,
        plan=plan,
        build=partial(recipe.optimizer.build, batch_scale=batch_scale, depths=depths),
        resume=found,
        history=state.curves,
        compile=machine.compile,
        shards=shards,
        depths=depths or {},
    )
    loader = steps(
        data,
        first_step=plan.start_step,
        max_steps=recipe.max_steps,
        global_batch_size=recipe.global_batch_size,
        micro_batch_size=plan.micro_batch_size,
        rank=rank,
        world_size=world,
        workers=machine.workers,
        pin_memory=machine.accelerator == "gpu",
    )
    bookkeeper = Bookkeeper(
        folder=folder,
        state=state,
        data=data,
        valid=valid,
        tracker=tracker,
        label=label,
        tokens_at=tokens_at or (lambda step: example_tokens),
        checkpoint_seconds=60 * machine.checkpoint_minutes,
        on_valid=on_valid,
    )
    trained.train()
    try:
        with recomputing(trained, enabled=machine.activation_checkpointing):
            _lightning_trainer(recipe, plan, machine, bookkeeper, alone=alone).fit(module, loader)
    except SystemExit as error:
        # Lightning's answer to Ctrl-C is a silent exit(1)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        bookkeeper.close()
    bookkeeper.raise_faults()
    if module.selected:
        module.selected.put()
    elif module.average:
        module.average.swap()
    if shards:
        gather_weights(trained, into=learner)
    learner.to("cpu")
    result = _trained(state, recipe)
    if recipe.selection and "selected_step" in result.metrics:
        tracker.log_metrics({"selected_step": result.metrics["selected_step"]})
        if rank == 0:
            print(
                f"{label}: kept are the weights of step {result.metrics['selected_step']:.0f} "
                f"({recipe.selection.metric} {result.metrics[recipe.selection.metric]:.6g})",
                flush=True,
            )
    return result


def _tell_scaling(recipe: Training, tracker: Run, label: str, rank: int) -> None:
    """Print and track what the linear scaling rule made of the learning rate."""
    optimizer = recipe.optimizer
    if optimizer.reference_batch_size is None:
        return
    scaled = optimizer.learning_rate * optimizer.batch_scale(recipe.global_batch_size)
    tracker.log_params({"scaled_learning_rate": scaled})
    if rank == 0:
        print(
            f"{label}: learning_rate {scaled:g} = {optimizer.learning_rate:g} x global_batch_size "
            f"{recipe.global_batch_size} / reference_batch_size {optimizer.reference_batch_size}",
            flush=True,
        )


def _trained(state: checkpoint.Progress, recipe: Training) -> Trained:
    metrics = {name: value for _, name, value in state.curves}
    chosen = recipe.selection.step(state.curves) if recipe.selection else None
    if chosen is not None:
        metrics |= {
            name: value for step, name, value in state.curves if step == chosen and name.startswith("valid/")
        }
        metrics["selected_step"] = float(chosen)
    return Trained(metrics, state.curves)


def _lightning_trainer(
    recipe: Training, plan: Plan, machine: Machine, bookkeeper: Bookkeeper, *, alone: bool = False
) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator=machine.accelerator,
        devices=[local_rank()] if alone and machine.accelerator == "gpu" else machine.devices,
        num_nodes=machine.num_nodes,
        strategy=_strategy(plan, machine),
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_steps=recipe.max_steps - plan.start_step,
        max_epochs=-1,
        use_distributed_sampler=False,
        callbacks=[bookkeeper],
        plugins=[environments.LightningEnvironment() if alone else _launched_by(plan)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        default_root_dir=str(Path(machine.scratch)),
    )
    # Lightning asks in every batch whether a process was told to stop, over the devices, and waits for the
    # answer; our own question (ranks.Agreement) makes no host wait for its device
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


def _strategy(plan: Plan, machine: Machine) -> Strategy | Literal["auto"]:
    if plan.world_size == 1:
        return "auto"
    if machine.strategy == "ddp":
        return DDPStrategy()
    return ModelParallelStrategy(data_parallel_size=plan.world_size, tensor_parallel_size=1)


def _launched_by(plan: Plan) -> environments.ClusterEnvironment:
    """Named, never guessed: Lightning would take any Slurm job for its own and requeue it by itself."""
    if environments.TorchElasticEnvironment.detect():
        return environments.TorchElasticEnvironment()
    if plan.world_size > 1:
        return environments.SLURMEnvironment(auto_requeue=False)
    return environments.LightningEnvironment()


def _quiet_lightning() -> None:
    """Lightning's hints are for its own users; ours get progress and errors."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_utilities"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning.*|lightning_fabric.*")
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.optim\.lr_scheduler")
