"""Training windows: for each presentation and each member of an ensemble one series and one cut.

Oreshkin et al. 2020, section 4: a series is drawn uniformly, then a cut uniformly among its last
`history_horizons` x horizon points (the paper's L_H x H); the lookback before the cut is the input, the
horizon after it the target. What a short series lacks is zero and masked, before and after the cut, and
so is what is missing in it.

Every window is divided by the largest absolute value of its lookback. The three losses do not see a
common factor of forecast and target (all are ratios), so this changes the network's input only.

Covariates come beside a window: past ones for the lookback, future ones for the horizon too, as they stand.

The values are read where they lie, in memory or in a mapped file, and never copied as a whole.

Shape legend: N series, B windows, M members, T lookback, H horizon, P, F, S past, future, static covariates.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from seedbed.data.randomness import uniform
from seedbed.forecasting.panels import Covariates, SeriesSet

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
CHUNK = 1 << 20
"""Values that are looked at together."""


class Windows:
    """Cuts windows out of a SeriesSet, vectorised: any number of (series, cut) pairs at once."""

    def __init__(self, series: SeriesSet, *, lookback: int) -> None:
        self._lookback, self._horizon = lookback, series.config.horizon
        self._values = np.asarray(series.values)
        self._offsets, self.lengths = series.offsets[:-1], series.lengths
        scales_N = naive_scales(self._values, series.offsets, seasonality=series.config.seasonality)
        self._scales_N = np.nan_to_num(scales_N)
        self._covariates = series.covariates

    def cut(self, series: Integers, cuts: Integers) -> dict[str, Tensor]:
        """Windows whose target begins at position `cuts` of `series` (arrays of one shape).

        insample, insample_mask (..., T), outsample, outsample_mask (..., H), all divided by `scale`
        (...); `naive_scale` (...) is the mean absolute seasonal difference, divided likewise. Of series with
        covariates also past (..., T, P), future (..., T + H, F), static (..., S), and covariate_mask
        (..., T + H), 0 before the series and where nothing is known ahead of it.
        """
        places = np.arange(-self._lookback, self._horizon)
        # unsigned, so that one comparison finds what is before the series and what is after it
        known = (cuts[..., None] + places).view(np.uint64) < self.lengths[series][..., None].view(np.uint64)
        values = self._take(self._offsets[series] + cuts - self._lookback)
        known &= np.isfinite(values)
        values[~known] = 0.0
        scale = np.abs(values[..., : self._lookback]).max(-1)
        scale[scale == 0] = 1.0
        values /= scale[..., None]
        parts = (slice(None, self._lookback), slice(self._lookback, None))
        insample, outsample = (_tensor(values[..., part]) for part in parts)
        insample_mask, outsample_mask = (_tensor(known[..., part]) for part in parts)
        return {
            "insample": insample,
            "insample_mask": insample_mask,
            "outsample": outsample,
            "outsample_mask": outsample_mask,
            "naive_scale": _tensor(self._scales_N[series] / scale),
            "scale": torch.from_numpy(np.ascontiguousarray(scale)),
            **({} if self._covariates is None else self._beside(self._covariates, series, cuts)),
        }

    def at_end(self, first: int = 0, count: int | None = None) -> dict[str, Tensor]:
        """One window for each of `count` series, the target beginning after its last point."""
        numbers = np.arange(len(self.lengths))[first : None if count is None else first + count]
        return self.cut(numbers, self.lengths[numbers])

    def before(self, targets: SeriesSet, first: int = 0, count: int | None = None) -> dict[str, Tensor]:
        """`at_end`, with the horizon that follows each series as the outsample."""
        assert bool(np.all(targets.lengths == self._horizon))
        windows = self.at_end(first, count)
        scale_N = windows["scale"].numpy()
        actual_NH = targets.values.reshape(-1, self._horizon)[first : first + len(scale_N)]
        known_NH = np.isfinite(actual_NH)
        actual_NH = np.where(known_NH, actual_NH, 0.0) / scale_N[:, None]
        return windows | {"outsample": _tensor(actual_NH), "outsample_mask": _tensor(known_NH)}

    def _beside(self, given: Covariates, series: Integers, cuts: Integers) -> dict[str, Tensor]:
        """The covariates of windows; of what the future ones know, a series' last H points have no more."""
        places = cuts[..., None] + np.arange(-self._lookback, self._horizon)
        first = self._offsets[series] + cuts - self._lookback
        known = (places >= 0) & (
            places < self.lengths[series][..., None] + self._horizon * bool(given.config.ahead)
        )
        past = _take(given.past_LP, first, self._lookback)
        past[~known[..., : self._lookback]] = 0.0
        future = _take(given.future, first + self._horizon * series, self._lookback + self._horizon)
        known &= np.isfinite(future).all(-1)
        future[~known] = 0.0
        return {
            "past": _tensor(past),
            "future": _tensor(future),
            "static": _tensor(given.static_NS[series]),
            "covariate_mask": _tensor(known),
        }

    def _take(self, first: Integers) -> Floats:
        """The T + H values from position `first` on, (..., T + H); where there are none, any value."""
        return _take(self._values[:, None], first, self._lookback + self._horizon)[..., 0]


def point_scale(windows: Mapping[str, Tensor]) -> Tensor:
    """What a point forecast is multiplied with: `scale`, and 0 where the lookback holds nothing but zeros.

    Such a window does not say what its values are counted in, so nothing but 0 follows from it.
    """
    return windows["scale"] * (windows["insample"] != 0).any(-1)


def _take(rows: Floats, first: Integers, width: int) -> Floats:
    """`width` rows (..., width, C) from row `first` on; where there are none, any."""
    # a plain array over the same memory: what is taken from a np.memmap is slower
    rows = np.asarray(rows)
    total, columns = rows.shape
    if not columns:
        return np.empty((*first.shape, width, 0))
    inside = np.clip(first, 0, max(0, total - width))
    outside = np.nonzero(inside != first) if total >= width else np.nonzero(np.ones_like(first))
    taken = np.empty((*first.shape, width, columns))
    if total >= width:
        # a window of a view over the flat row is copied as it lies, four times as fast as point by point
        flat = sliding_window_view(rows.reshape(-1), width * columns)
        taken.reshape(*first.shape, width * columns)[...] = flat[inside * columns]
    places = first[outside][..., None] + np.arange(width)
    taken[outside] = rows[np.clip(places, 0, total - 1)]
    return taken


def naive_scales(values: Floats, offsets: Integers, *, seasonality: int) -> Floats:
    """`metrics.naive_scale` of each series values[offsets[i]:offsets[i + 1]]; nan where it is undefined.

    Of a series with gaps it is the mean over the differences that are known.
    """
    scales_N = np.full(len(offsets) - 1, np.nan)
    first = 0
    while first < len(scales_N):
        # series together, so that few long ones and many short ones are both quick
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + CHUNK, side="right")) - 1)
        part = values[offsets[first] : offsets[last]]
        starts, ends = (
            edges - offsets[first] for edges in (offsets[first:last], offsets[first + 1 : last + 1])
        )
        long = np.flatnonzero(ends - starts > seasonality)
        if long.size:
            differences = np.append(np.abs(part[seasonality:] - part[:-seasonality]), 0.0)
            known = np.isfinite(differences)
            bounds = np.stack([starts[long], ends[long] - seasonality], axis=1).ravel()
            # every other sum is of a series, those between span two of them; a last bound may be the end
            sums, counts = (
                np.add.reduceat(summed, bounds)[::2]
                for summed in (np.where(known, differences, 0.0), known.astype(np.float64))
            )
            scales_N[first + long] = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        first = last
    return scales_N


class WindowPresentations:
    """The endless training order: presentation p holds one window for each member.

    What a member sees is a function of its own seed and p, whoever else is in the ensemble.
    """

    def __init__(
        self, series: SeriesSet, *, lookback: int, seeds: Sequence[int], history_horizons: float
    ) -> None:
        self._windows = Windows(series, lookback=lookback)
        self._seeds = tuple(seeds)
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
        draws = [uniform(seed, self._stream, first, count, 2) for seed in self._seeds]
        random_BM2 = np.stack(draws, axis=1)
        lengths = self._windows.lengths
        series_BM = (random_BM2[..., 0] * len(lengths)).astype(np.int64)
        low_BM = self._first_N[series_BM]
        cuts_BM = low_BM + (random_BM2[..., 1] * (lengths[series_BM] - low_BM)).astype(np.int64)
        return series_BM, cuts_BM


def _tensor(values: NDArray[np.float64 | np.bool_]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
