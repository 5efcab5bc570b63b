"""What is drawn anew in each training of a run, and how far its trainings come apart.

Dodge et al. 2020 (arXiv 2002.06305): the head's first weights and the order of the examples, apart.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from seedbed.config import Strict

Numbers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Sources:
    """The seeds of one training. `head`: all new weights; `order`: the examples' order and dropout."""

    head: int
    order: int


class SeparateSeedsBase(Strict):
    """Seeds of the head and seeds of the order, and which of them meet."""

    head: Numbers = Field(description="of new weights: the head, layers begun anew, a network from scratch")
    order: Numbers = Field(description="of the examples' order, and of dropout")

    @abstractmethod
    def sources(self) -> list[Sources]:
        """One for each training, all different."""


class GridSeedsConfig(SeparateSeedsBase):
    """Every head with every order, the order changing faster."""

    name: Literal["grid"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.head)) < len(self.head) or len(set(self.order)) < len(self.order):
            raise ValueError("the seeds of a grid's side must be different numbers")
        return self

    def sources(self) -> list[Sources]:
        return [Sources(head, order) for head in self.head for order in self.order]


class PairedSeedsConfig(SeparateSeedsBase):
    """The first head with the first order, the second with the second."""

    name: Literal["paired"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        pairs = list(zip(self.head, self.order, strict=False))
        if len(self.head) != len(self.order) or len(set(pairs)) < len(pairs):
            raise ValueError(
                f"paired seeds are as many heads as orders and no pair twice, got {len(self.head)} and "
                f"{len(self.order)}"
            )
        return self

    def sources(self) -> list[Sources]:
        return [Sources(head, order) for head, order in zip(self.head, self.order, strict=True)]


SeparateSeeds = Annotated[GridSeedsConfig | PairedSeedsConfig, Field(discriminator="name")]


def summarise(
    of_seed: Mapping[int, Mapping[str, float]], sources: Mapping[int, Sources] | None = None
) -> dict[str, float]:
    """Means over seeds by bare name, `std/<name>`, and each seed's own as `seed-<n>/<name>`.

    The standard deviation is the sample's (n - 1), left out of a single seed. Of a grid (`sources`) that has
    several heads and several orders, `std-head/<name>` is that of the heads' means over orders, and
    `std-order/<name>` the other way round.
    """
    names = next(iter(of_seed.values()))
    found = {name: float(np.mean([values[name] for values in of_seed.values()])) for name in names}
    if len(of_seed) > 1:
        found |= {f"std/{name}": _deviation([v[name] for v in of_seed.values()]) for name in names}
    for side in ("head", "order") if sources and _is_grid(sources) else ():
        groups: dict[int, list[int]] = {}
        for seed, drawn in (sources or {}).items():
            groups.setdefault(getattr(drawn, side), []).append(seed)
        for name in names:
            means = [float(np.mean([of_seed[seed][name] for seed in group])) for group in groups.values()]
            found[f"std-{side}/{name}"] = _deviation(means)
    return found | {
        f"seed-{seed}/{name}": value for seed, values in of_seed.items() for name, value in values.items()
    }


def _deviation(values: list[float]) -> float:
    return float(np.std(values, ddof=1))


def _is_grid(sources: Mapping[int, Sources]) -> bool:
    heads, orders = ({getattr(s, side) for s in sources.values()} for side in ("head", "order"))
    return min(len(heads), len(orders)) > 1 and len(sources) == len(heads) * len(orders)
