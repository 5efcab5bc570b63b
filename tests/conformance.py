"""What every Learner must keep, in two lines of a test: `check_learner` and `check_two_processes`.

check_learner(make_learner, batch)
check_two_processes(make_learner, batch)      # make_learner at the top of a module: it is pickled
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from seedbed.learner import Batch, Learner
from seedbed.training import predict_scores
from seedbed.training.sharding import shard, whole

MakeLearner = Callable[[], Learner]


def check_learner(
    make_learner: MakeLearner,
    batch: Batch,
    *,
    steps: int = 60,
    learning_rate: float = 3e-3,
    falls_to: float = 0.6,
    without_gradient: Sequence[str] = (),
) -> None:
    """`make_learner` must give the same weights at each call.

    Overfitting: after `steps` the loss is at most `falls_to` of the first. `without_gradient` names
    parameters that rightly get none.
    """
    check_finite(make_learner(), batch)
    check_gradients(make_learner(), batch, without_gradient=without_gradient)
    check_repeatable(make_learner, batch)
    check_state_survives(make_learner, batch)
    check_overfits(make_learner(), batch, steps=steps, learning_rate=learning_rate, falls_to=falls_to)


def check_finite(learner: Learner, batch: Batch) -> None:
    losses = learner.whole_loss(batch)
    assert "loss" in losses
    for name, value in losses.items():
        assert value.shape == (), f"{name} is no scalar: {tuple(value.shape)}"
        assert torch.isfinite(value), f"{name} is {value}"
    learner.eval()
    accumulator = learner.scores()
    with torch.no_grad():
        learner.score(batch, accumulator)
        once = accumulator.results()
        learner.score(batch, accumulator)
    assert once
    for name, result in accumulator.results().items():
        assert abs(result - once[name]) <= 1e-9 * max(1, abs(once[name])), f"{name} is no mean over examples"


def check_gradients(learner: Learner, batch: Batch, *, without_gradient: Sequence[str] = ()) -> None:
    learner.train()
    learner.whole_loss(batch)["loss"].backward()
    for name, parameter in learner.named_parameters():
        if name in without_gradient:
            continue
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert torch.isfinite(parameter.grad).all(), f"{name} has a gradient that is not finite"
        assert parameter.grad.abs().sum() > 0, f"{name} has a gradient of zero"


def check_repeatable(make_learner: MakeLearner, batch: Batch) -> None:
    """Same seed, same bits: three steps, dropout and all."""
    first, second = (_few_steps(make_learner(), batch) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), f"{name} differs between two runs of one seed"


def check_state_survives(make_learner: MakeLearner, batch: Batch) -> None:
    """Weights written and read back give the same loss to the bit."""
    learner = make_learner()
    _few_steps(learner, batch)
    with TemporaryDirectory() as folder:
        torch.save(learner.state_dict(), Path(folder) / "state.pt")
        state = torch.load(Path(folder) / "state.pt", weights_only=True)
    restored = make_learner()
    restored.load_state_dict(state)
    assert torch.equal(_loss(learner, batch), _loss(restored, batch))


def check_overfits(
    learner: Learner, batch: Batch, *, steps: int, learning_rate: float, falls_to: float
) -> None:
    torch.manual_seed(0)
    learner.train()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=learning_rate, weight_decay=0.0)
    first = float(learner.whole_loss(batch)["loss"].detach())
    last = first
    for _ in range(steps):
        loss = learner.whole_loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        last = float(loss.detach())
    assert last <= falls_to * first, (
        f"one batch is not learnt: loss {first:.4f}, after {steps} steps {last:.4f}"
    )


def check_two_processes(
    make_learner: MakeLearner,
    batch: Batch,
    *,
    halves: Sequence[Batch] | None = None,
    tolerance: float = 1e-6,
    scores: bool = True,
) -> None:
    """The gradient of two processes with a part of a batch each is that of one with the whole; and of two
    that share the weights between them too, which also score as one does (unless `scores` is False, for a
    batch that only trains).

    By default each tensor of the batch is cut in two. Compared in fp64 without dropout (random numbers
    of a half are not half the random numbers).
    """
    if halves is None:
        halves = [{name: tensor.chunk(2)[rank] for name, tensor in batch.items()} for rank in range(2)]
    learner = make_learner().double().eval()
    learner.whole_loss(_double(batch))["loss"].backward()
    # three batches for two processes
    scored = [_double(half) for half in [*halves, halves[0]]] if scores else []
    sums = predict_scores(learner, scored, precision="fp32").sums
    with TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _one_of_two, args=(make_learner, [dict(half) for half in halves], scored, folder), nprocs=2
        )
        found = torch.load(Path(folder) / "found.pt", weights_only=True)
    for strategy in ("ddp", "fsdp"):
        for name, parameter in learner.named_parameters():
            if parameter.grad is None:
                continue
            difference = float((parameter.grad - found[strategy][name]).abs().max())
            largest = float(parameter.grad.abs().max())
            assert difference <= tolerance * max(1.0, largest), (
                f"{strategy}: {name}: gradients differ by {difference:g}"
            )
    for name, value in sums.items():
        torch.testing.assert_close(found["sums"][name], value, rtol=tolerance, atol=tolerance)


def _one_of_two(
    rank: int, make_learner: MakeLearner, halves: list[Batch], scored: list[Batch], folder: str
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    learner = make_learner().double().eval()
    counts = [learner.counts(_double(half)) for half in halves]
    total = {name: counts[0][name] + counts[1][name] for name in counts[0]}
    model = _LossOnly(learner, total)
    parallel = DistributedDataParallel(model)
    (2 * parallel(_double(halves[rank]))).backward()  # processes average, parts add up
    found: dict[str, dict[str, Tensor]] = {"ddp": _gradients(learner)}
    sharded = make_learner().double().eval()
    shard(sharded, init_device_mesh("cpu", (2,)))
    found["sums"] = predict_scores(sharded, scored, precision="fp32").sums
    (2 * sharded.training_loss(_double(halves[rank]), total)["loss"]).backward()
    found["fsdp"] = {name: whole(value) for name, value in _gradients(sharded).items()}
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()


def _gradients(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


class _LossOnly(torch.nn.Module):
    def __init__(self, learner: Learner, counts: dict[str, Tensor]) -> None:
        super().__init__()
        self.learner, self.counts = learner, counts

    def forward(self, batch: Batch) -> Tensor:
        return self.learner.training_loss(batch, self.counts)["loss"]


def _double(batch: Batch) -> dict[str, Tensor]:
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in batch.items()}


def _loss(learner: Learner, batch: Batch) -> Tensor:
    learner.eval()
    with torch.no_grad():
        return learner.whole_loss(batch)["loss"]


def _few_steps(learner: Learner, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(1)
    learner.train()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        learner.whole_loss(batch)["loss"].backward()
        optimizer.step()
    return {name: value.clone() for name, value in learner.state_dict().items()}
