"""Sensitivity and what is missed, tone by tone.

Intervals are Wilson's, of images: where a handful are positive, resamples would say nothing. Who is
shown twice counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.evaluation.cases import Cases
from calibration.intervals import wilson
from calibration.skin.palette import Tone, palette
from calibration.skin.telling import Told

FEW = 10
"""Positives below which a tone's sensitivity is of single images."""


@dataclass(frozen=True, slots=True)
class Share:
    hits: int
    count: int

    @property
    def ends(self) -> tuple[float, float, float] | None:
        """Value, and the interval's ends."""
        if self.count == 0:
            return None
        interval = wilson(self.hits, self.count)
        return self.hits / self.count, interval.low, interval.high

    @property
    def rest(self) -> Share:
        return Share(self.count - self.hits, self.count)

    def as_dict(self) -> dict[str, float | int | None]:
        names = ("value", "low", "high")
        ends = self.ends or (None, None, None)
        rounded = (None if end is None else round(end, 6) for end in ends)
        return dict(zip(names, rounded, strict=True)) | {"n": self.count}


@dataclass(frozen=True, slots=True)
class ToneRow:
    tone: Tone
    images: int
    sensitivity: Share  # of the positives, called positive at the threshold
    specificity: Share  # of the others, left alone

    @property
    def few(self) -> bool:
        return self.sensitivity.count < FEW

    def as_dict(self) -> dict[str, object]:
        return {
            "tone": self.tone.name,
            "rgb": self.tone.web,
            "n": self.images,
            "positives": self.sensitivity.count,
            "few": self.few,
            "sensitivity": self.sensitivity.as_dict(),
            "false_negative_rate": self.sensitivity.rest.as_dict(),
            "specificity": self.specificity.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class ByTone:
    rows: tuple[ToneRow, ...]
    made: int  # images whose tone a manifest tells
    measured: int
    unknown: int

    def as_dict(self) -> dict[str, object]:
        known = {"made": self.made, "measured": self.measured, "unknown": self.unknown}
        return {"known": known, "few_below": FEW, "rows": [row.as_dict() for row in self.rows]}


def by_tone(cases: Cases, told: Mapping[str, Told]) -> ByTone:
    """Images with a score, at the bundle's threshold; one row for each tone, empty ones too."""
    names = np.array([told[i].tone.name if i in told else "" for i in cases.judged.table.ids])
    scored = np.zeros(len(cases), dtype=bool)
    scored[cases.rows] = cases.decides
    rows = []
    for tone in palette():
        here = names == tone.name
        positive, other = (here & scored & kind for kind in (cases.malignant, ~cases.malignant))
        hits, passed = int((positive & cases.called).sum()), int((other & ~cases.called).sum())
        shares = Share(hits, int(positive.sum())), Share(passed, int(other.sum()))
        rows.append(ToneRow(tone, int(here.sum()), *shares))
    here = [told[i] for i in cases.judged.table.ids if i in told]
    measured = sum(one.colour is not None for one in here)
    return ByTone(tuple(rows), len(here) - measured, measured, len(cases) - len(here))
