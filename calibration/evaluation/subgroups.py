"""The same figures for parts of the patients: a mean can hide a group that is served badly.

With many groups some differ by chance, and small ones say little: each row has its n and its
intervals, and groups below a floor are put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.evaluation.bootstrap import Bootstrap, Estimate
from calibration.evaluation.cases import Cases
from calibration.evaluation.families import decision_figures, ranking_figures
from calibration.evaluation.tone import GROUPS, tone_group
from train.data.table import Sample

FLOOR = 10
OTHER, UNKNOWN = "other", "unknown"
AGES = (30, 45, 60, 75)
AGE_GROUPS = ("under 30", "30 to 44", "45 to 59", "60 to 74", "75 and over")
SHOWN = ("auc", "sensitivity", "specificity")


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    n: int
    positives: int
    figures: dict[str, Estimate]

    def as_dict(self) -> dict[str, object]:
        figures = {name: estimate.as_dict() for name, estimate in self.figures.items()}
        return {"name": self.name, "n": self.n, "positives": self.positives, **figures}


def subgroups(cases: Cases, bootstrap: Bootstrap) -> dict[str, list[Group]]:
    """By attribute; one that no image has is left out."""
    return {
        attribute: [_group(cases, bootstrap, name, names) for name in _ordered(names, order)]
        for attribute, names, order in _attributes(cases)
        if set(names) != {UNKNOWN}
    }


def _attributes(cases: Cases) -> list[tuple[str, list[str], Sequence[str]]]:
    """The group of each image, and the order in which groups are shown."""
    table = cases.judged.table

    def each(value: Callable[[Sample], str | None]) -> list[str]:
        return merge([value(sample) or UNKNOWN for sample in table])

    tones = merge([tone_group(angle) or UNKNOWN for angle in cases.judged.skin])
    found: list[tuple[str, list[str], Sequence[str]]] = [
        ("age", each(lambda s: age_group(s.age)), AGE_GROUPS),
        ("sex", each(lambda s: s.sex), ()),
        ("site", each(lambda s: s.site), ()),
        ("source", each(lambda s: s.source), ()),
        ("skin tone (estimated)", tones, GROUPS),
    ]
    if len({sample.dataset for sample in table}) > 1:
        found.append(("data set", each(lambda s: s.dataset), ()))
    return found


def age_group(age: float | None) -> str | None:
    return None if age is None else AGE_GROUPS[sum(age >= limit for limit in AGES)]


def merge(names: Sequence[str], floor: int = FLOOR) -> list[str]:
    """Groups of fewer than `floor` images become one, called other."""
    sizes = Counter(names)
    return [OTHER if sizes[name] < floor and name != UNKNOWN else name for name in names]


def _ordered(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """In their own order, or the largest first; what is no group of its own comes last."""
    sizes = Counter(names)
    own = [name for name in sizes if name not in (OTHER, UNKNOWN)]
    own.sort(key=lambda name: (order.index(name) if name in order else 0, -sizes[name], name))
    return own + [name for name in (OTHER, UNKNOWN) if name in sizes]


def _group(cases: Cases, bootstrap: Bootstrap, name: str, names: Sequence[str]) -> Group:
    inside = np.array([other == name for other in names])
    rows = cases.rows[inside[cases.rows]]
    positive = cases.malignant[rows]
    figures: dict[str, Estimate] = {}
    if len(rows):
        figures = bootstrap.estimate(ranking_figures(rows, positive, cases.scores[rows]))
    if len(rows) and cases.decides:
        figures |= bootstrap.estimate(decision_figures(rows, positive, cases.called[rows]))
    shown = {figure: figures[figure] for figure in SHOWN if figure in figures}
    return Group(name, int(inside.sum()), int(cases.malignant[inside].sum()), shown)
