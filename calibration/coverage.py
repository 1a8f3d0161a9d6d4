"""Limits of abstention that leave a wanted share of real lesions decided.

Every rule may set aside as many images as every other: one limit each from one number, the largest
that keeps what is left at the wanted share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from runtime.errors import UsageError

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Limits = dict[str, float]


@dataclass(frozen=True)
class Doubts:
    """What the rules go by, an image each; NaN where it was not measured.

    `open`: images that would be decided if there were no limits. The others were rejected for
    their quality, or no lesion was found in them.
    """

    disagreement: Doubles
    ood: Doubles
    area: Doubles
    open: Flags

    def select(self, rows: Flags | npt.NDArray[np.int64]) -> Doubts:
        return Doubts(self.disagreement[rows], self.ood[rows], self.area[rows], self.open[rows])

    @property
    def rules(self) -> Mapping[str, Doubles]:
        """By a limit's name in the bundle: what must not exceed it. A least area is the largest of
        its negatives."""
        every = {
            "disagreement": self.disagreement,
            "ood": self.ood,
            "area_fraction_min": -self.area,
            "area_fraction_max": self.area,
        }
        return {name: values for name, values in every.items() if np.isfinite(values).any()}

    def decided(self, limits: Mapping[str, float]) -> Flags:
        left = self.open.copy()
        for name, values in self.rules.items():
            if name in limits:
                limit = -limits[name] if name.endswith("_min") else limits[name]
                left &= ~(values > limit)
        return left


def fit_limits(doubts: Doubts, wanted: float) -> Limits:
    """Those that set aside as many as they may."""
    if not doubts.rules:
        raise UsageError(
            "The bundle measures nothing that it could abstain by.",
            got="one member, no segmenter, no measure of unlikeness",
            remedy="leave --coverage out, or name a member under the recipe's `unlikeness`",
        )
    count = len(doubts.open)
    needed = ceil(wanted * count - 1e-9)
    spare = int(doubts.open.sum()) - needed
    if spare < 0:
        raise UsageError(
            f"A coverage of {wanted:g} is out of reach without any limit of abstention.",
            got=f"{int(doubts.open.sum())} of {count} images are decided; the others have no "
            "lesion, or a quality that the bundle rejects",
            remedy="ask for a lower --coverage, or widen the bundle's quality limits",
        )
    low, high = 0, spare  # how many each rule sets aside: the largest number that fits
    while low < high:
        middle = (low + high + 1) // 2
        fits = int(doubts.decided(_limits(doubts, middle)).sum()) >= needed
        low, high = (middle, high) if fits else (low, middle - 1)
    return _limits(doubts, low)


def decided_crossed(doubts: Doubts, folds: npt.NDArray[np.int64], wanted: float) -> Flags:
    """Each fold decided with limits of the others: what new images can be expected to give."""
    decided = np.zeros(len(folds), dtype=bool)
    for fold in np.unique(folds):
        here = folds == fold
        elsewhere = ~here if (~here).any() else here
        decided[here] = doubts.select(here).decided(fit_limits(doubts.select(elsewhere), wanted))
    return decided


def _limits(doubts: Doubts, aside: int) -> Limits:
    """Of each rule, so that it sets aside `aside` of the open images by itself."""
    found = {}
    for name, values in doubts.rules.items():
        known = np.sort(values[doubts.open & np.isfinite(values)])
        if len(known):
            worst = float(known[max(len(known) - 1 - aside, 0)])
            # Rounded away from it, so that the image at the limit stays decided.
            upper = ceil(worst * 1e6) / 1e6
            found[name] = floor(-worst * 1e6) / 1e6 if name.endswith("_min") else upper
    return found
