"""Which layers do not bear 8 bits: each group of them alone, then all but the worst.

All of it uses the ranges that were measured once; a trial is a graph with other layers quantised
and one pass over the calibration images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx

from calibration.quantising.loss import Judge, Loss
from calibration.quantising.placement import Site
from calibration.quantising.qdq import insert

GROUP_IMAGES = 16


@dataclass(frozen=True, slots=True)
class Group:
    """Some layers, and what quantising them and nothing else costs."""

    name: str
    layers: int
    loss: Loss
    kept: bool = False  # in 16 bits


@dataclass(frozen=True)
class Trials:
    """One model's graph and ranges, from which any part of it can be quantised and judged."""

    model: onnx.ModelProto
    sites: Sequence[Site]
    limits: Mapping[str, float]
    judge: Judge

    def graph(self, left_out: frozenset[str] = frozenset()) -> bytes:
        chosen = [site for site in self.sites if site.group not in left_out]
        return insert(self.model, chosen, self.limits).SerializeToString()

    def loss(self, left_out: frozenset[str] = frozenset()) -> Loss:
        return self.judge.of(self.graph(left_out))

    def loss_alone(self, group: str) -> Loss:
        """Of one group in 8 bits and nothing else: to put groups in order a few images do."""
        others = frozenset(self.groups) - {group}
        return self.judge.of_first(GROUP_IMAGES, self.graph(others))

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(site.group for site in self.sites))


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was found: the groups as they run through the network, and the loss that is left."""

    groups: tuple[Group, ...]
    loss: Loss
    within_budget: bool

    @property
    def kept(self) -> frozenset[str]:
        return frozenset(group.name for group in self.groups if group.kept)


def fit(
    trials: Trials, all_int8: Loss, budget: float, progress: Callable[[], None] = lambda: None
) -> Fitted:
    """Leave groups in 16 bits, the most costly first, until the mean loss is within the budget."""
    names = trials.groups
    alone: dict[str, Loss] = {}
    for name in names:
        alone[name] = trials.loss_alone(name)
        progress()
    loss = all_int8
    kept: frozenset[str] = frozenset()
    for name in sorted(names, key=lambda name: -alone[name].mean):
        if loss.mean <= budget:
            break
        kept |= {name}
        if len(kept) == len(names):
            break
        loss = trials.loss(kept)
    counts = {name: sum(site.group == name for site in trials.sites) for name in names}
    groups = (Group(name, counts[name], alone[name], name in kept) for name in names)
    return Fitted(tuple(groups), loss, len(kept) < len(names) and loss.mean <= budget)
