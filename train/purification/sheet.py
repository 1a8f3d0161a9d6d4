"""A few images beside what purification makes of them, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.preprocess import Image
from train.views import Bytes

MOST_ROWS = 12
MARKED = (0, 255, 0)


def marked(image: Image, occlusions: Bytes) -> Image:
    shown = image.copy()
    shown[occlusions > 0] = MARKED
    return shown


def write_sheet(file: Path, rows: Sequence[Sequence[Image]]) -> None:
    """One row an image; from left to right what became of it. All pictures are of one size."""
    if not rows:
        return
    sheet = np.vstack([np.hstack(list(row)) for row in rows[:MOST_ROWS]])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
