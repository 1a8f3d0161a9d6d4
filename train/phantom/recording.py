"""A recording of a hand that goes from phantom to phantom, in place of a camera.

For each it comes near, out of focus and in motion; rests, as still as a hand is; and moves on. So a
loop that plays it has frames to reject and frames to take, as in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import UsageError
from train.phantom.layout import Row, image_folder
from train.phantom.noise import Bits

RATE = 15  # frames a second
SECONDS, NEAR, AWAY = 4.0, 0.25, 0.85  # of each lesion; the hand is at rest between these parts
LESIONS = 5
SHAPE = 480, 360  # width and height, as small cameras have them
FIELD = 0.98  # of a phantom's side that is seen from left to right
REACH = 0.6  # of the field: how far away the hand begins and ends
TREMOR = 0.004  # of the field
BLUR, NOISE = 5.0, 1.5  # pixels; grey levels


def write_recording(path: Path, out: Path, rows: Sequence[Row]) -> int:
    """How many phantoms it shows."""
    shown = rows[:LESIONS]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SHAPE)
    if not writer.isOpened():
        raise UsageError(
            f"The recording could not be written to {path}.",
            expected="a folder that can be written, and an OpenCV with FFmpeg",
            remedy="Choose another file for --recording; the data set itself is complete.",
        )
    rng = np.random.default_rng(len(rows))
    for row in shown:
        file = image_folder(out, row.part) / f"{row.image_id}.jpg"
        image = np.asarray(cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        for frame in _frames(image, rng):
            writer.write(frame)
    writer.release()
    return len(shown)


def _frames(image: Bits, rng: np.random.Generator) -> Iterator[Bits]:
    side = min(image.shape[:2])
    centre = np.array(image.shape[1::-1]) / 2
    zoom = SHAPE[0] / (FIELD * side)
    bearing = rng.uniform(0, 2 * math.pi)
    for number in range(round(SECONDS * RATE)):
        part = number / (SECONDS * RATE)
        far = max(1 - part / NEAR, (part - AWAY) / (1 - AWAY), 0.0)
        x = REACH * far**2 * math.cos(bearing) + TREMOR * math.sin(1.7 * number)
        y = REACH * far**2 * math.sin(bearing) + TREMOR * math.cos(1.1 * number)
        at = centre + np.array([x, y]) * FIELD * side
        shift = np.array(SHAPE) / 2 - zoom * at
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        seen = cv2.warpAffine(
            image, matrix, SHAPE, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        if far > 0:
            seen = cv2.GaussianBlur(seen, (0, 0), 0.3 + BLUR * far)
        noisy = seen + rng.normal(0, NOISE, seen.shape)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
