"""How many pictures lie outside each of the bundle's limits on how a picture was taken.

Where all pictures of a data set are good ones, that is the rate at which a limit rejects wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibration.intervals import share_fields

if TYPE_CHECKING:
    from calibration.judged import Flags, Judged
    from runtime.bundle import QualityLimit


@dataclass(frozen=True, slots=True)
class Outside:
    """`measure` is None for the row that counts each picture once, whatever its limits."""

    measure: str | None
    limit: QualityLimit | None
    images: int
    outside: int
    positives_outside: int

    def as_dict(self) -> dict[str, object]:
        return {
            "measure": self.measure,
            "min": self.limit.min if self.limit else None,
            "max": self.limit.max if self.limit else None,
            "images": self.images,
            "outside": self.outside,
            "positives_outside": self.positives_outside,
            "share": share_fields(self.outside, self.images),
        }


def outside_limits(
    judged: Judged, malignant: Flags, limits: Mapping[str, QualityLimit]
) -> list[Outside]:
    """One row a limit and one for any of them; none where no picture could be read."""
    seen = [
        (judgement.result.quality, bool(positive))
        for judgement, positive in zip(judged.judgements, malignant, strict=True)
        if judgement.result is not None
    ]
    if not seen or not limits:
        return []

    def row(name: str | None, names: list[str]) -> Outside:
        hit = [
            positive
            for quality, positive in seen
            if any(each in quality and limits[each].excludes(quality[each]) for each in names)
        ]
        limit = limits[name] if name else None
        return Outside(name, limit, len(seen), len(hit), sum(hit))

    return [*(row(name, [name]) for name in limits), row(None, list(limits))]
