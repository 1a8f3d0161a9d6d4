"""Two sides of made-up judgements: only what the gate reads of them is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.gating.sides import Sides
from calibration.judged import Judged, Judgement
from runtime.record import Result
from train.data.table import Sample, Table

CLASSES = ("melanoma", "nevus")
THRESHOLD = 0.5
Said = float | str  # a score, or the status of an image without a decision


@dataclass(frozen=True)
class Image:
    """One image, what either side says of it, and whose it is."""

    malignant: bool
    before: Said
    after: Said
    patient: str | None = None


def sides(images: Sequence[Image], masks: tuple[int, int] | None = None) -> Sides:
    samples = [
        Sample(f"i{n}", "made", Path("none"), CLASSES[not image.malignant], "",
               patient=image.patient)
        for n, image in enumerate(images)
    ]  # fmt: skip
    table = Table.of("made", samples, CLASSES)
    seen = masks or (None, None)
    before, after = (
        Judged(table, CLASSES, ("melanoma",), "melanoma", tuple(_said(v, mask) for v in side))
        for side, mask in zip(
            ([i.before for i in images], [i.after for i in images]), seen, strict=True
        )
    )
    return Sides(before, after, np.full(len(images), THRESHOLD), masks is not None)


def alike(positives: int, negatives: int = 100) -> list[Image]:
    """Images on which both sides agree: positives above, negatives below the threshold."""
    high = [Image(True, 0.7 + 0.2 * n / positives, 0.7 + 0.2 * n / positives)
            for n in range(positives)]  # fmt: skip
    low = [Image(False, 0.1 + 0.2 * n / negatives, 0.1 + 0.2 * n / negatives)
           for n in range(negatives)]  # fmt: skip
    return high + low


def _said(said: Said, mask: int | None) -> Judgement:
    """`mask` is how many of 16 pixels the lesion covers."""
    shape = None if mask is None else (4, 4)
    bits = b"" if mask is None else np.packbits(np.arange(16) < mask).tobytes()
    if said == "unreadable":
        return Judgement(None, None)
    if said == "error":
        return Judgement(Result(status="error"), None)
    abstained = isinstance(said, str)
    score = 0.6 if isinstance(said, str) else said
    result = Result(
        status="abstained" if abstained else "ok",
        score=score,
        probabilities={"melanoma": score, "nevus": 1 - score},
        refer=None if abstained else score >= THRESHOLD,
    )
    return Judgement(result, shape, bits)
