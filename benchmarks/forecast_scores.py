"""The accuracy of N-BEATS ensembles by their size, on the valid or test part of a panel, with intervals.

Run: make bench-scores ARGS="data/raw/m3 nbeats_medium-m3 --seeds 10 --sizes 6 18 36 72 180": what
`seedbed fetch` wrote, and recipes of conf/forecast, whose members are pooled. Each is trained by seeds 1, 2
... and what its members forecast is kept (forecast_members.py), so that a second run only scores.

An ensemble of a size is the median of so many members of the pool, drawn without replacement; a figure is
the mean over 50 draws, +- their standard deviation. The interval in brackets is over series: 95 %,
10,000 resamples of the mean errors over draws, Naive2's resampled along; it says nothing of other seeds.
sMAPE and MASE are means over series; sMAPE of `all` is the mean over all points, as M3 reports it, its MASE
the mean over all series. OWA is against Naive2 (M4's rule; M3's where the panel is M3's). Choose settings on
valid and open test once.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seedbed.process import keep_freed_memory, limit_threads

limit_threads(1, spin=10_000)
keep_freed_memory()

import numpy as np
from forecast_members import ROOT, Floats, parts, recipe_of, trained

from seedbed import metrics
from seedbed.evaluation.intervals import bootstrap
from seedbed.forecasting.baselines import Naive2Config
from seedbed.forecasting.panels import SeriesSet

DRAWS, RESAMPLES, CONFIDENCE = 50, 10_000, 0.95


@dataclass(frozen=True)
class Errors:
    """sMAPE and MASE of one frequency's series, (D draws, N series), nan where MASE is undefined; Naive2's
    (1, N)."""

    smape_DN: Floats
    mase_DN: Floats
    horizon: int


def errors(forecasts: Sequence[Floats], actual: SeriesSet, history: SeriesSet) -> Errors:
    """Of forecasts (N, H), one for each draw."""
    horizon, season = actual.config.horizon, actual.config.seasonality
    actual_NH = np.asarray(actual.values).reshape(-1, horizon)
    rows_NT = metrics.padded([history.series(index) for index in range(len(history))])
    mase_DN = [metrics.mase(actual_NH, one, history=rows_NT, seasonality=season) for one in forecasts]
    return Errors(np.stack([metrics.smape(actual_NH, one) for one in forecasts]), np.stack(mase_DN), horizon)


def drawn(forecasts_MNH: Floats, size: int) -> list[Floats]:
    """Medians of `size` members each, drawn by a generator of their own."""
    count = len(forecasts_MNH)
    generator = np.random.default_rng(size)
    return [
        np.asarray(np.median(forecasts_MNH[generator.permutation(count)[:size]], 0))
        for _ in range(DRAWS if size < count else 1)
    ]


def scores(groups: Sequence[tuple[Errors, Errors]]) -> tuple[Floats, Floats]:
    """Over the frequencies: sMAPE, MASE and OWA of each draw (D, 3), and of each resample (B, 3).

    `groups`: errors and Naive2's. A draw pairs the ensembles of the same number of all frequencies.
    """
    draws, resampled = [], []
    for own, naive in groups:
        count = own.smape_DN.shape[1]
        shape = own.smape_DN.shape
        lines_DKN = np.stack(
            [
                own.smape_DN,
                own.mase_DN,
                *(np.broadcast_to(one, shape) for one in (naive.smape_DN, naive.mase_DN)),
            ],
            axis=1,
        )
        draws.append(np.stack([_sums(np.ones((1, count)), one)[0] for one in lines_DKN]))
        statistic = partial(_sums, lines_KN=lines_DKN.mean(0))
        resampled.append(bootstrap(statistic, count, resamples=RESAMPLES, seed=1).draws_BSM)
    most = max(len(one) for one in draws)
    draws = [np.broadcast_to(one, (most, *one.shape[1:])) for one in draws]
    horizons = [own.horizon for own, _ in groups]
    return _owa(draws, horizons), _owa(resampled, horizons)


def _sums(weights_BN: Floats, lines_KN: Floats) -> Floats:
    """(B, K, 2): of each line the weighted sum of what is defined, and its weight."""
    defined_KN = np.isfinite(lines_KN)
    parts_KN = np.where(defined_KN, lines_KN, 0.0), defined_KN.astype(np.float64)
    return np.stack([weights_BN @ part_KN.T for part_KN in parts_KN], axis=-1)


def _owa(sums_BK2: Sequence[Floats], horizons: Sequence[int]) -> Floats:
    """sMAPE, MASE and OWA (B, 3) of the sums and counts (B, 4, 2) of each frequency."""
    points = [np.asarray([horizon, 1, horizon, 1])[:, None] for horizon in horizons]
    total_BK2 = np.sum([one * weight for one, weight in zip(sums_BK2, points, strict=True)], axis=0)
    smape, mase, base_smape, base_mase = (total_BK2[..., 0] / total_BK2[..., 1]).T
    return np.stack(
        [smape, mase, metrics.owa(smape, mase, naive2_smape=base_smape, naive2_mase=base_mase)], axis=-1
    )


def line(name: str, groups: Sequence[tuple[Errors, Errors]]) -> str:
    draws_D3, resamples_B3 = scores(groups)
    edges = np.percentile(resamples_B3, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    cells = [
        f"{draws_D3[:, place].mean():.{digits}f} +- {draws_D3[:, place].std():.{digits}f} "
        f"[{edges[0, place]:.{digits}f}, {edges[1, place]:.{digits}f}]"
        for place, digits in enumerate((2, 3, 3))
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--part", choices=["valid", "test"], default="valid")
    parser.add_argument("--seeds", type=int, default=1, help="fits of every recipe")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 6, 18])
    parser.add_argument("--frequencies", nargs="+", help="some of the panel's; without it all")
    parser.add_argument("--keep", type=Path, default=ROOT / ".scratch/forecast_members")
    parser.add_argument("--kept-only", action="store_true", help="train nothing, pool what is there")
    options = parser.parse_args()
    recipe = recipe_of(options.recipes[0], options.folder.name)
    panel = recipe.panel.load(options.folder)
    pools = {
        series.frequency: trained(
            options.recipes,
            source=options.folder.name,
            series=series,
            part=options.part,
            seeds=range(1, 1 + options.seeds),
            keep=options.keep,
            train=not options.kept_only,
        )
        for series in panel.sets("train" if options.part == "valid" else "history")
        if not options.frequencies or series.frequency in options.frequencies
    }
    naive2 = Naive2Config(name="naive2", rule="m3" if recipe.panel.name == "m3" else "m4")
    by_size: dict[int, list[tuple[Errors, Errors]]] = {size: [] for size in options.sizes}
    print("| series, members | sMAPE | MASE | OWA |\n| --- | --- | --- | --- |")
    # everything is trained before this opens the test part
    for series, actual in parts(panel, options.part):
        if series.frequency not in pools:
            continue
        pool, naive = pools[series.frequency], errors([naive2.forecast(series)], actual, series)
        print(
            f"{series.frequency}: {len(pool.forecasts_MNH)} members, {pool.seconds:.0f} CPU s",
            file=sys.stderr,
        )
        for size, groups in by_size.items():
            groups.append((errors(drawn(pool.forecasts_MNH, size), actual, series), naive))
            print(line(f"{series.frequency} ({len(series)}), {size}", groups[-1:]), flush=True)
    for size, groups in by_size.items():
        print(line(f"all ({sum(own.smape_DN.shape[1] for own, _ in groups)}), {size}", groups), flush=True)


if __name__ == "__main__":
    main()
