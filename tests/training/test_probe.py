"""What a probe counts is what a formula says; what it measures is there."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seedbed.config import Machine
from seedbed.models import EncoderConfig
from seedbed.objectives import ReplacedTokenDetectionConfig
from seedbed.tokenization import Vocabulary
from seedbed.training import probe as module
from seedbed.training.probe import Probe, SavedBytes, probe
from tests.training.toy import WIDTH, Regression, Sums, recipe

PARAMETERS = WIDTH * 16 + 16 + 16 + 1


def probed(**machine: object) -> Probe:
    return probe(
        Regression(),
        data=Sums(),
        recipe=recipe(),
        example_tokens=1,
        machine=Machine(threads=1, **machine),
        label="toy",
        seconds=0.01,
    )


def test_products_are_counted_forward_and_backward() -> None:
    """The first layer's input needs no gradient, the second's does."""
    found = probed()
    assert found.num_micro_batches == 1
    assert found.flops == 12 * (2 * 2 * WIDTH * 16 + 3 * 2 * 16)


def test_bytes_are_those_of_fp32_and_adam() -> None:
    found = probed()
    assert found.weight_bytes == found.gradient_bytes == 4 * PARAMETERS
    assert 2 * 4 * PARAMETERS <= found.optimizer_bytes <= 2 * 4 * PARAMETERS + 4 * 4
    assert found.activation_bytes > 12 * 16 * 4


def test_a_step_is_its_micro_batches_on_all_devices() -> None:
    whole, parts = probed(), probed(tokens_per_device=3, devices=2)
    assert parts.num_micro_batches == 2 and parts.flops == whole.flops
    assert parts.activation_bytes < whole.activation_bytes
    for found in (whole, parts):
        assert len(found.step_seconds) >= module.LEAST_STEPS and min(found.step_seconds) > 0


def test_a_storage_saved_twice_counts_once_and_weights_not_at_all() -> None:
    linear = torch.nn.Linear(4, 4, bias=False)
    inputs = torch.ones(2, 4, requires_grad=True)
    saved = SavedBytes(linear)
    with saved.watching():
        (linear(inputs) * linear(inputs)).sum().backward()
    assert saved.total == 3 * 2 * 4 * 4, "inputs, and the two products of the square"


def test_energy_comes_from_the_meter_or_is_not_known(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENERGY", tmp_path / "none")
    assert probed().joules is None
    readings = iter([5_000_000, 7_000_000])
    monkeypatch.setattr(module, "_energy", lambda: next(readings) / 1e6)
    found = probed()
    assert found.joules is not None and 0 < found.joules <= 2
    readings = iter([7_000_000, 1_000_000])
    assert probed().joules is None, "the meter started again at 0"


def test_recomputed_blocks_save_less_and_compute_more() -> None:
    plain, again = probed(), probed(activation_checkpointing=True)
    assert again.activation_bytes < plain.activation_bytes
    assert again.flops == plain.flops + 12 * 2 * WIDTH * 16


def test_shards_are_a_part_of_all_and_what_is_fetched() -> None:
    """The first layer is a block; the second, in none, is fetched with the network."""
    whole, cut = probed(devices=2), probed(devices=2, strategy="fsdp")
    fetched = 4 * PARAMETERS
    assert cut.weight_bytes == cut.gradient_bytes == -(-whole.weight_bytes // 2) + fetched
    assert cut.optimizer_bytes == -(-whole.optimizer_bytes // 2)


def test_averages_are_counted_with_the_optimizer() -> None:
    plain = probed().optimizer_bytes
    found = probe(
        Regression(),
        data=Sums(),
        recipe=recipe(averaging={"name": "ema", "decay": 0.9}),
        example_tokens=1,
        machine=Machine(threads=1),
        label="toy",
        seconds=0.01,
    )
    assert found.optimizer_bytes == plain + 4 * PARAMETERS


def test_flops_are_counted_without_numbers() -> None:
    """Tied weights and all: as many as when the products are computed, and the learner is left alone."""
    config = EncoderConfig.parse(
        {
            "name": "encoder",
            "family": "electra",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "max_length": 16,
        },
        "test",
    )
    vocabulary = Vocabulary(
        size=64, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, special_ids=(0, 1, 2, 3, 4)
    )
    objective = ReplacedTokenDetectionConfig(name="replaced_token_detection")
    learner = objective.build(config, vocabulary, seed=1)
    rows_BL = np.random.default_rng(0).integers(5, 64, (3, 16))
    batch = objective.prepare(vocabulary)(rows_BL, 0, 1)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(learner.whole_loss(batch)["loss"])
    learner.zero_grad()
    assert module.count_flops(learner, batch) == counter.get_total_flops() > 0
    assert all(parameter.grad is None for parameter in learner.parameters())
