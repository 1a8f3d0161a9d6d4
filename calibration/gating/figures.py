"""What the candidate changed, in numbers, each with what chance alone could have made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from calibration.gating.bounds import LEVEL, binomial_upper, loss_bound
from calibration.gating.sides import LEAVE, OPEN, REFER, Rows, Sides
from calibration.judged import Floats
from train.data.metrics import auc, mean_auc, ranked_classes

NAN = float("nan")
OF_CLASS = "auc of "
Figure = Callable[[Rows], tuple[float, float]]
"""Of both sides, on some rows."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of both sides. `bound` is the one-sided upper bound of the loss."""

    reference: float
    candidate: float
    low: float = NAN  # the two-sided bootstrap interval of the loss
    high: float = NAN
    bound: float = NAN

    @property
    def loss(self) -> float:
        return self.reference - self.candidate


@dataclass(frozen=True, slots=True)
class Figures:
    images: int  # that the reference scored
    unreadable: int  # that it did not
    positives: int  # that the reference decided
    positive_groups: int
    negatives: int  # the same
    negative_groups: int  # of all it scored: areas under curves need no decision
    undecided: int  # that it scored and did not decide
    undecided_positives: int
    unscored: int  # that only the candidate failed on
    lost: int  # positives, in groups, that it no longer refers
    gained: int
    sensitivity: Change
    specificity: Change
    auc: Change
    mean_auc: Change | None  # where there are more than two classes
    class_aucs: Mapping[str, Change]  # each against the rest, for people; empty where there are two
    flips: int
    flips_bound: float
    change_p99: float
    change_max: float
    change_where: str | None
    member_p99: float | None  # of the member that changed most; None where there is only one
    member_most: str | None
    masks: Change | None  # agreement with itself, 1, and with the candidate
    masks_p99: float | None  # what it is at least in 99 of 100 images

    @property
    def counted(self) -> str:
        """Every image that the reference scored, in words."""
        words = f"{self.positives} positives and {self.negatives} negatives"
        if not self.undecided:
            return words
        return f"{words}, {self.undecided} not decided ({self.undecided_positives} positive)"


def measure(sides: Sides) -> Figures:
    before, after = sides.outcomes
    known, both, positive = sides.known, sides.both, sides.reference.malignant
    decided = sides.decided_positives
    decided_negatives = known & ~positive & (before != OPEN)
    undecided = known & (before == OPEN)
    lost, gained, groups = _net_groups(sides)
    measures = _measures(sides)
    drawn = _drawn_losses(sides, measures)

    def change(name: str, at_least: float = NAN) -> Change:
        whole = measures[name](np.arange(len(sides.ids)))
        values = drawn[name]
        if not len(values):
            return Change(*whole)
        low, high, bound = np.quantile(values, [0.025, 0.975, LEVEL]).tolist()
        return Change(*whole, low, high, float(np.fmax(bound, at_least)))

    changes = np.where(both, sides.changes, NAN)
    worst = int(np.nanargmax(changes)) if both.any() else None
    flips = int(sides.flips.sum())
    flipped_groups = sides.count_groups(sides.flips)
    known_groups = sides.count_groups(known)
    return Figures(
        images=int(known.sum()),
        unreadable=int((~known).sum()),
        positives=int(decided.sum()),
        positive_groups=groups,
        negatives=int(decided_negatives.sum()),
        negative_groups=sides.count_groups(known & ~positive),
        undecided=int(undecided.sum()),
        undecided_positives=int((undecided & positive).sum()),
        unscored=int(sides.unscored.sum()),
        lost=lost,
        gained=gained,
        sensitivity=change("sensitivity", loss_bound(lost, gained, groups)),
        specificity=Change(
            _share(before[decided_negatives] == LEAVE), _share(after[decided_negatives] == LEAVE)
        ),
        auc=change("auc"),
        mean_auc=change("mean_auc") if "mean_auc" in measures else None,
        class_aucs={
            name.removeprefix(OF_CLASS): change(name)
            for name in measures
            if name.startswith(OF_CLASS)
        },
        flips=flips,
        flips_bound=binomial_upper(flipped_groups, known_groups) if known_groups else 1.0,
        change_p99=float(np.nanquantile(changes, 0.99)) if worst is not None else NAN,
        change_max=float(changes[worst]) if worst is not None else NAN,
        change_where=sides.ids[worst] if worst is not None else None,
        **_members(sides),
        masks=change("masks") if sides.segments else None,
        masks_p99=_low(sides.overlaps[known]) if sides.segments else None,
    )


def _members(sides: Sides) -> dict[str, Any]:
    """Names are the same on both sides: what is another system is refused before."""
    if len(sides.member_changes) < 2:
        return {"member_p99": None, "member_most": None}
    found = {
        name: float(np.quantile(values, 0.99)) if len(values) else NAN
        for name, values in sides.member_changes.items()
    }
    most = max(found, key=lambda name: np.inf if np.isnan(found[name]) else found[name])
    return {"member_p99": found[most], "member_most": most}


def _net_groups(sides: Sides) -> tuple[int, int, int]:
    """Groups with a lost positive, with a gained one and no lost, and all with a decided one."""
    before, after = sides.outcomes
    decided = sides.decided_positives
    lost = decided & (before == REFER) & (after != REFER)
    gained = decided & (before != REFER) & (after == REFER)
    losing = [bool(lost[group].any()) for group in sides.groups]
    winning = [bool(gained[group].any()) for group in sides.groups]
    only = sum(won and not gone for won, gone in zip(winning, losing, strict=True))
    return sum(losing), only, sides.count_groups(decided)


def _measures(sides: Sides) -> Mapping[str, Figure]:
    """Each figure of both sides on some rows, so that a resample takes the same of either."""
    before, after = sides.outcomes
    decided, both, known = sides.decided_positives, sides.both, sides.known
    positive, targets = sides.reference.malignant, sides.reference.targets
    score = sides.reference.classes.index(sides.reference.score)
    ranked = ranked_classes(len(sides.reference.classes))
    there = [code for code in ranked if (targets[both] == code).any()]
    pair = sides.reference, sides.candidate
    probabilities = [judged.probabilities for judged in pair]

    def sensitivity(rows: Rows) -> tuple[float, float]:
        rows = rows[decided[rows]]
        return _share(before[rows] == REFER), _share(after[rows] == REFER)

    def of_score(rows: Rows) -> tuple[float, float]:
        rows = rows[both[rows]]
        one, other = (auc(positive[rows], values[rows, score]) for values in probabilities)
        return one, other

    def of_all(rows: Rows) -> tuple[float, float]:
        rows = rows[both[rows]]
        one, other = (mean_auc(targets[rows], values[rows], there) for values in probabilities)
        return one, other

    def masks(rows: Rows) -> tuple[float, float]:
        rows = rows[known[rows]]
        return 1.0, float(sides.overlaps[rows].mean()) if len(rows) else NAN

    found: dict[str, Figure] = {"sensitivity": sensitivity, "auc": of_score}
    if len(sides.reference.classes) > 2 and there:
        found["mean_auc"] = of_all
        for code, name in enumerate(sides.reference.classes):
            found[OF_CLASS + name] = partial(_of_class, sides, code)
    return found | ({"masks": masks} if sides.segments else {})


def _of_class(sides: Sides, code: int, rows: Rows) -> tuple[float, float]:
    rows = rows[sides.both[rows]]
    of_it = sides.reference.targets[rows] == code
    one, other = (
        auc(of_it, judged.probabilities[rows, code])
        for judged in (sides.reference, sides.candidate)
    )
    return one, other


def _drawn_losses(sides: Sides, measures: Mapping[str, Figure]) -> dict[str, Floats]:
    """The loss of each figure in every resample; undefined draws are left out."""
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for rows in sides.draws():
        for name, figure in measures.items():
            one, other = figure(rows)
            drawn[name].append(one - other)
    return {name: np.array([v for v in values if np.isfinite(v)]) for name, values in drawn.items()}


def _low(values: Floats) -> float:
    return float(np.quantile(values, 0.01)) if len(values) else NAN


def _share(flags: Rows) -> float:
    return float(np.mean(flags)) if len(flags) else NAN
