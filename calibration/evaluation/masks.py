"""How well the lesion was outlined: Dice and Jaccard against masks drawn by people.

They are counted at the truth's own resolution: the predicted mask is enlarged to it by the rule by
which the chain cuts a lesion out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.judged import Judged, Judgement
from runtime.errors import InputError
from runtime.lesion import nearest
from train.data.content import read_bytes
from train.data.metrics import overlap

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.uint8]

FAIR_JACCARD = 0.65  # below it an outline counts as failed in the ISIC challenges since 2018


@dataclass(frozen=True)
class MaskScores:
    """One of each an image; NaN where there is no truth, or where the chain did not come so far."""

    dice: Floats
    jaccard: Floats

    @property
    def any(self) -> bool:
        return bool(np.isfinite(self.jaccard).any())

    def select(self, rows: Sequence[int]) -> MaskScores:
        return MaskScores(self.dice[list(rows)], self.jaccard[list(rows)])


def compare_masks(judged: Judged) -> MaskScores:
    pairs = [
        _compare(sample.mask, judgement)
        for sample, judgement in zip(judged.table, judged.judgements, strict=True)
    ]
    values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return MaskScores(values[:, 0], values[:, 1])


def _compare(file: Path | None, judgement: Judgement) -> tuple[float, float]:
    if file is None or judgement.result is None or judgement.result.status == "error":
        return np.nan, np.nan
    truth = read_mask(file)
    found = judgement.mask
    if found is None:  # no lesion was found, which is an answer
        return overlap(truth, np.zeros_like(truth))
    return overlap(truth, nearest(found, *truth.shape))


def read_mask(file: Path) -> Mask:
    """0 and 1; grey values at the edge, as resized masks have them, are split in the middle."""
    image = cv2.imdecode(np.frombuffer(read_bytes(file), np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(
            f"{file} cannot be decoded.",
            got="no picture that is known",
            expected="a lesion mask: an image with 0 for skin and 255 for lesion",
            remedy="Save it as PNG, or remove it from the table.",
        )
    return (np.asarray(image) > 127).astype(np.uint8)
