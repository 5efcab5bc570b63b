"""Training windows: for each presentation and each member of an ensemble one series and one cut.

Oreshkin et al. 2020, section 4: a series is drawn uniformly, then a cut uniformly among its last
`history_horizons` x horizon points (the paper's L_H x H); the lookback before the cut is the input, the
horizon after it the target. What a short series lacks is zero and masked, before and after the cut, and
so is what is missing in it.

Every window is divided by the largest absolute value of its lookback. The three losses do not see a
common factor of forecast and target (all are ratios), so this changes the network's input only.

Shape legend: N series, B windows, M members, T lookback, H horizon.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed import metrics
from seedbed.data.randomness import uniform
from seedbed.forecasting.panels import SeriesSet

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Windows:
    """Cuts windows out of a SeriesSet, vectorised: any number of (series, cut) pairs at once."""

    def __init__(self, series: SeriesSet, *, lookback: int) -> None:
        self._lookback, self._horizon = lookback, series.config.horizon
        self._values, self._offsets, self.lengths = series.values, series.offsets[:-1], series.lengths
        self._scales_N = np.nan_to_num(
            np.asarray(
                [
                    metrics.naive_scale(series.series(i), seasonality=series.config.seasonality)
                    for i in range(len(series))
                ]
            )
        )

    def cut(self, series: Integers, cuts: Integers) -> dict[str, Tensor]:
        """Windows whose target begins at position `cuts` of `series` (arrays of one shape).

        insample, insample_mask (..., T), outsample, outsample_mask (..., H), all divided by `scale`
        (...); `naive_scale` (...) is the mean absolute seasonal difference, divided likewise.
        """
        insample_T, mask_T = self._take(series, cuts, np.arange(-self._lookback, 0))
        outsample_H, outsample_mask_H = self._take(series, cuts, np.arange(self._horizon))
        scale = np.abs(insample_T).max(-1)
        scale = np.where(scale > 0, scale, 1.0)
        return {
            "insample": _tensor(insample_T / scale[..., None]),
            "insample_mask": _tensor(mask_T),
            "outsample": _tensor(outsample_H / scale[..., None]),
            "outsample_mask": _tensor(outsample_mask_H),
            "naive_scale": _tensor(self._scales_N[series] / scale),
            "scale": torch.from_numpy(np.ascontiguousarray(scale)),
        }

    def at_end(self) -> dict[str, Tensor]:
        """One window per series, the target beginning after its last point: what forecasting needs."""
        return self.cut(np.arange(len(self.lengths)), self.lengths)

    def before(self, targets: SeriesSet) -> dict[str, Tensor]:
        """`at_end`, with the horizon that follows each series as the outsample."""
        assert bool(np.all(targets.lengths == self._horizon))
        windows = self.at_end()
        actual_NH = targets.values.reshape(-1, self._horizon) / windows["scale"].numpy()[:, None]
        known_NH = np.isfinite(actual_NH)
        actual_NH = np.where(known_NH, actual_NH, 0.0)
        return windows | {
            "outsample": _tensor(actual_NH),
            "outsample_mask": _tensor(known_NH.astype(np.float64)),
        }

    def _take(self, series: Integers, cuts: Integers, relative: Integers) -> tuple[Floats, Floats]:
        places = cuts[..., None] + relative
        known = (places >= 0) & (places < self.lengths[series][..., None])
        rows = np.where(known, self._offsets[series][..., None] + places, 0)
        values = self._values[rows]
        known &= np.isfinite(values)
        return np.where(known, values, 0.0), known.astype(np.float64)


class WindowPresentations:
    """The endless training order: presentation p holds one window for each member."""

    def __init__(
        self, series: SeriesSet, *, lookback: int, members: int, history_horizons: float, seed: int
    ) -> None:
        self._windows = Windows(series, lookback=lookback)
        self._members, self._seed = members, seed
        self._stream = f"windows/{series.frequency}"
        self._ids = series.ids
        lengths = self._windows.lengths
        assert lengths.min() >= 2, "a window needs a point before and after its cut"
        reach = max(1, round(history_horizons * series.config.horizon))
        # Cuts lie in [first, length): the point at the cut is the first target.
        self._first_N = np.maximum(1, lengths - reach)

    def batch(self, first: int, count: int) -> dict[str, Tensor]:
        """Presentations [first, first + count): tensors of shape (B, M, ...)."""
        return self._windows.cut(*self._draw(first, count))

    def names(self, first: int, count: int) -> list[str]:
        """The windows' series, each once."""
        series_BM, _ = self._draw(first, count)
        return [self._ids[number] for number in np.unique(series_BM)]

    def _draw(self, first: int, count: int) -> tuple[Integers, Integers]:
        """Series and cuts, each (B, M)."""
        random = uniform(self._seed, self._stream, first, count, 2 * self._members)
        lengths = self._windows.lengths
        series_BM = (random[:, : self._members] * len(lengths)).astype(np.int64)
        low_BM = self._first_N[series_BM]
        cuts_BM = low_BM + (random[:, self._members :] * (lengths[series_BM] - low_BM)).astype(np.int64)
        return series_BM, cuts_BM


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
