"""Every figure with its interval, from one set of resamples.

A resample is a weight for each image: how often it was drawn. Figures are functions of weights,
so that the value (all weights one) and its interval come out of the same code, and a thousand
resamples are a matrix instead of a loop. Whole groups are drawn: two pictures of one lesion are
not two witnesses. All figures see the same resamples, so their intervals belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.intervals import wilson
from train.data.metrics import RESAMPLES
from train.data.splits import make_groups
from train.data.table import Table

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CELLS = 2_000_000  # weights in memory at a time: 16 MB, and a few times that for what follows
LEAST_DEFINED = 0.5  # of the resamples: below it an interval would be of the lucky ones
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure on `n` images. None where it cannot be computed from them."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {k: None if v is None else round(v, 6) for k, v in numbers.items()} | {"n": self.n}


@dataclass(frozen=True, slots=True)
class Family:
    """Figures that are computed together from the same images.

    `of` takes weights, draws × `rows`, and gives each figure's value for each draw. `sizes` says on
    how many images each figure rests; `proportions` are those that are a share of them. `centred`
    are sums of gaps: a resample repeats images, which opens gaps by itself, so that all draws can
    lie above the value. What they lie above it by is taken off.
    """

    rows: Rows
    sizes: dict[str, int]
    of: Callable[[Floats], dict[str, Floats]]
    proportions: frozenset[str] = frozenset()
    centred: frozenset[str] = frozenset()


class Bootstrap:
    """Resamples of the groups that images belong to, numbered from 0."""

    def __init__(self, groups: Sequence[int], resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.group = np.asarray(groups, dtype=np.int64)
        self.groups = int(self.group.max()) + 1 if len(self.group) else 0
        self.resamples, self.seed = resamples, seed
        rng = np.random.default_rng(seed)
        self._drawn = np.zeros((resamples, self.groups), dtype=np.uint16)
        for row in self._drawn:
            picks = rng.integers(0, self.groups, self.groups)
            row[:] = np.bincount(picks, minlength=self.groups)

    def weights(self, rows: Rows) -> Iterator[Floats]:
        """How often each of these images was drawn, some resamples at a time."""
        step = max(CELLS // max(len(rows), 1), 1)
        for start in range(0, self.resamples, step):
            yield self._drawn[start : start + step, self.group[rows]].astype(np.float64)

    def estimate(self, family: Family) -> dict[str, Estimate]:
        with np.errstate(invalid="ignore", divide="ignore"):  # draws without a positive
            values = family.of(np.ones((1, len(family.rows))))
            draws = [family.of(weights) for weights in self.weights(family.rows)]
        found = {}
        for name, size in family.sizes.items():
            value, drawn = float(values[name][0]), np.concatenate([draw[name] for draw in draws])
            if name in family.centred:
                drawn = np.maximum(drawn - float(np.median(drawn)) + value, 0.0)
            found[name] = _estimate(value, drawn, size, name in family.proportions)
        return found


def groups_of(table: Table) -> list[int]:
    """A number for each image: the same one for all pictures of a patient or a lesion."""
    groups = make_groups(table, ("id", "patient", "lesion"))
    number = {name: place for place, group in enumerate(groups) for name in group}
    return [number[name] for name in table.ids]


def _estimate(value: float, draws: Floats, size: int, proportion: bool) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, None, None, size)
    if proportion and value in (0.0, 1.0) and size:
        # All hits or none: every resample says the same, which is no certainty.
        interval = wilson(round(value * size), size, LEVEL)
        return Estimate(value, interval.low, interval.high, size)
    defined = draws[np.isfinite(draws)]
    if len(defined) < LEAST_DEFINED * len(draws):
        return Estimate(value, None, None, size)
    tail = (1 - LEVEL) / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    if low == high:  # all resamples agree, as on a handful of images in perfect order
        return Estimate(value, None, None, size)
    return Estimate(value, low, high, size)
