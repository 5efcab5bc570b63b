"""A few steps of a run on this machine, to tell what the whole of it will take."""

import copy
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seedbed.config import Machine
from seedbed.data.presentations import Presentations
from seedbed.learner import Batch, Learner, Repeated
from seedbed.training.arithmetic import settle_arithmetic
from seedbed.training.recipe import Training, accumulation
from seedbed.training.recomputation import recomputing
from seedbed.training.validation import autocast

LEAST_STEPS = 3
ENERGY = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
"""The processor's own meter, of AMD too, where the kernel shows it and lets us read it."""


@dataclass(frozen=True)
class Probe:
    """What one step takes. Bytes are of one device, FLOP of all of them together."""

    num_micro_batches: int
    """Of a step on each device."""
    flops: float
    """Of a step, forward and backward, counted as its products run."""
    weight_bytes: int
    """Sharded: a share of all, and the whole of what is fetched at once."""
    gradient_bytes: int
    """Sharded: likewise, before it is sent to those who hold it."""
    optimizer_bytes: int
    """The averages of weights too, if the recipe has such."""
    activation_bytes: int
    """Saved between forward and backward of one micro-batch; of a recomputed block its input alone."""
    step_seconds: tuple[float, ...]
    joules: float | None
    """Of a step on this machine; None where no meter can be read."""


def probe(
    learner: Learner,
    *,
    data: Presentations,
    recipe: Training,
    example_tokens: int,
    machine: Machine,
    label: str,
    seconds: float,
) -> Probe:
    """Train `learner` for about `seconds`, on one device; it is spoiled for anything else.

    One micro-batch and one optimizer step are timed in turn, and a step is as many micro-batches as the
    machine file makes of it. What devices tell each other is not in it; their shares are reckoned.
    """
    settle_arithmetic(machine)
    device = torch.device("cuda" if machine.accelerator == "gpu" else "cpu")
    num_micro_batches = accumulation(recipe, machine, example_tokens, label)
    size = recipe.global_batch_size // (machine.world_size * num_micro_batches)
    batch = {name: value.to(device) for name, value in data.batch(0, size).items()}
    with recomputing(learner, enabled=machine.activation_checkpointing):
        learner.to(device).train()
        optimizer = recipe.optimizer.build(learner)
        loss = torch.compile(learner.training_loss) if machine.compile else learner.training_loss
        counts = {name: value.to(device) for name, value in learner.counts(batch).items()}

        def micro_batch() -> None:
            with autocast(device, recipe.precision):
                value = loss(batch, counts)["loss"]
            torch.autograd.backward(value)

        def update() -> None:
            nn.utils.clip_grad_norm_(learner.parameters(), recipe.gradient_clip)
            optimizer.step()
            optimizer.zero_grad()

        def timed(work: Callable[[], None]) -> float:
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - started

        saved = SavedBytes(learner)
        with FlopCounterMode(display=False) as counter, saved.watching():
            with autocast(device, recipe.precision):
                value = learner.training_loss(batch, counts)["loss"]
            torch.autograd.backward(value)
        gradient_bytes = _bytes([p.grad for p in learner.parameters() if p.grad is not None])
        update()
        micro_batch()
        update()
        found: list[float] = []
        before, started = _energy(), time.perf_counter()
        while len(found) < LEAST_STEPS or time.perf_counter() - started < seconds:
            found.append(num_micro_batches * timed(micro_batch) + timed(update))
        watts = _watts(before, _energy(), time.perf_counter() - started)
        state = [value for of_one in optimizer.state.values() for value in of_one.values()]
        optimizer_bytes = _bytes(value for value in state if isinstance(value, Tensor))
        if recipe.averaging:
            optimizer_bytes += _bytes(weight for weight in learner.parameters() if weight.requires_grad)
        shards = machine.world_size if machine.strategy == "fsdp" else 1
        fetched = _fetched_bytes(learner) if shards > 1 else 0
        return Probe(
            num_micro_batches=num_micro_batches,
            flops=float(counter.get_total_flops()) * num_micro_batches * machine.world_size,
            weight_bytes=-(-_bytes(learner.parameters()) // shards) + fetched,
            gradient_bytes=-(-gradient_bytes // shards) + fetched,
            optimizer_bytes=-(-optimizer_bytes // shards),
            activation_bytes=saved.total,
            step_seconds=tuple(found),
            joules=None if watts is None else watts * statistics.median(found),
        )


def count_flops(learner: Learner, batch: Batch) -> int:
    """FLOP of a batch, forward and backward, counted as its products run; gradients are dropped.

    It runs on tensors that have a shape and no numbers, so that neither time nor memory grows with the
    network; where numbers decide shapes (an ELMo computes each word of a batch once), on the batch itself.
    """
    from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

    shapes = FakeTensorMode()
    tensors = [*learner.parameters(), *learner.buffers()]
    # a deep copy takes what it is told to have copied already: no weight is copied, tied ones stay tied
    shaped = copy.deepcopy(learner, {id(tensor): shapes.from_tensor(tensor) for tensor in tensors})
    given = {name: shapes.from_tensor(value) for name, value in batch.items()}
    try:
        with shapes:
            return _counted(shaped, given)
    except DynamicOutputShapeException:
        flops = _counted(learner, batch)
        learner.zero_grad(set_to_none=True)
        return flops


def _counted(learner: Learner, batch: Batch) -> int:
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(learner.whole_loss(batch)["loss"])
    return int(counter.get_total_flops())


class SavedBytes:
    """The bytes that autograd keeps for the backward pass, parameters not counted, each storage once."""

    def __init__(self, module: nn.Module) -> None:
        self._seen = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        self.total = 0

    def watching(self) -> torch.autograd.graph.saved_tensors_hooks:
        return torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


def _fetched_bytes(module: nn.Module) -> int:
    """Whole at once when weights are sharded: the largest block, and all that is in no block."""
    blocks = [part for part in module.modules() if isinstance(part, Repeated)]
    in_blocks = {id(parameter) for block in blocks for parameter in block.parameters()}
    rest = _bytes(parameter for parameter in module.parameters() if id(parameter) not in in_blocks)
    return rest + max((_bytes(block.parameters()) for block in blocks), default=0)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _energy() -> float | None:
    """Joules on the processor's meter."""
    try:
        return int(ENERGY.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def _watts(before: float | None, after: float | None, seconds: float) -> float | None:
    # the meter starts again at 0 now and then
    if before is None or after is None or after < before:
        return None
    return (after - before) / seconds
