"""Members of an N-BEATS ensemble and their median (Oreshkin et al. 2020, section 3.4).

The paper's ensemble is six lookbacks x three losses x ten random starts; here each list is configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from seedbed.data.randomness import derive_seed
from seedbed.forecasting.losses import Asked

Origin = Literal["zero", "last", "last_scaled"]
"""What a network sees and forecasts departures from: 0, the last known value, or that one with the departures
over the largest of them."""


@dataclass(frozen=True)
class Member:
    """One network of an ensemble: its window, its loss and the seed of its weights and windows."""

    lookback: int
    loss: Asked
    seed: int


def members(
    *, lookbacks: tuple[int, ...], losses: tuple[Asked, ...], repeats: int, horizon: int, seed: int
) -> list[Member]:
    """Every combination; a member's seed depends on its own place (lookback, loss, repeat) alone."""
    return [
        Member(lookback * horizon, loss, derive_seed(seed, "member", lookback, str(loss), repeat))
        for lookback, loss, repeat in product(lookbacks, losses, range(repeats))
    ]


def median(forecasts_MBH: Tensor) -> Tensor:
    """The middle member at each point; of an even number the mean of the two in the middle."""
    # torch.median takes the lower of the two, quantile has a size limit
    count = forecasts_MBH.shape[0]
    ordered_MBH = torch.sort(forecasts_MBH, dim=0).values
    return (ordered_MBH[(count - 1) // 2] + ordered_MBH[count // 2]) / 2


def last_known(window_T: Tensor, mask_T: Tensor) -> Tensor:
    """The last value (..., 1) of windows (..., T) whose mask is 1; the oldest place where there is none."""
    places_T = torch.arange(1, mask_T.shape[-1] + 1, device=mask_T.device)
    return window_T.gather(-1, (mask_T * places_T).argmax(-1, keepdim=True))


def departures(window_T: Tensor, mask_T: Tensor, *, origin: Origin) -> tuple[Tensor, Tensor, Tensor]:
    """Of windows (..., T) the level (..., 1), what a network sees (..., T), its answers' unit (..., 1).

    `last_scaled`: the largest departure in the window is 1, whatever the level (as Kim et al. 2022, RevIN,
    centre and scale each window). What stands still is forecast to do so: its answers' unit is 0.
    """
    level_1, size_1 = torch.zeros_like(window_T[..., :1]), torch.ones_like(window_T[..., :1])
    if origin != "zero":
        level_1 = last_known(window_T, mask_T)
    departures_T = window_T - level_1
    if origin == "last_scaled":
        size_1 = (departures_T * mask_T).abs().amax(-1, keepdim=True)
        departures_T = departures_T / torch.where(size_1 > 0, size_1, torch.ones_like(size_1))
    return level_1, departures_T, size_1


def last_season(window_MBT: Tensor, mask_MBT: Tensor, *, points: Sequence[int], horizon: int) -> Tensor:
    """The last `points` (M) values of windows over and over, (M, B, H); `last_known` for unknown ones."""
    points_M1 = torch.tensor(points, device=window_MBT.device)[:, None]
    places_MH = torch.arange(horizon, device=window_MBT.device) % points_M1 + window_MBT.shape[-1] - points_M1
    places_MBH = places_MH[:, None].expand(-1, window_MBT.shape[1], -1)
    known_MBH = mask_MBT.gather(-1, places_MBH) > 0
    return torch.where(known_MBH, window_MBT.gather(-1, places_MBH), last_known(window_MBT, mask_MBT))
