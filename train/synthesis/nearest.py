"""Whether a generator has learnt its training images by heart: how near each picture is to one.

Bisla et al. take the image with the smallest mean squared error, over pixels from 0 to 1.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.views import Bytes

BATCH = 64  # pictures of 256 × 256 as floats, on either side: 50 MB


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of each picture, the row of its nearest image and the mean squared error between them."""

    rows: npt.NDArray[np.int64]
    errors: npt.NDArray[np.float64]

    @classmethod
    def of(cls, parts: Sequence[Nearest]) -> Nearest:
        """Of one set of pictures after the other."""
        rows = np.concatenate([part.rows for part in parts])
        return cls(rows, np.concatenate([part.errors for part in parts]))

    @property
    def copies(self) -> npt.NDArray[np.bool_]:
        """Pictures that are a training image, pixel for pixel."""
        return self.errors == 0


def nearest(made: Bytes, images: Bytes, rows: Sequence[int]) -> Nearest:
    """Among the images of `rows`."""
    best = np.full(len(made), np.inf, np.float32)
    found = np.zeros(len(made), np.int64)
    for start in range(0, len(rows), BATCH):
        near = np.asarray(rows[start : start + BATCH])
        others = _flat(images[near])
        for first in range(0, len(made), BATCH):
            here = slice(first, first + BATCH)
            errors = _errors(_flat(made[here]), others)
            closest = errors.argmin(axis=1)
            error = errors[np.arange(len(closest)), closest]
            nearer = error < best[here]
            best[here] = np.where(nearer, error, best[here])
            found[here] = np.where(nearer, near[closest], found[here])
    # Once more from the difference itself: products of sums are not exact enough to say "equal".
    exact = [_error(picture, images[row]) for picture, row in zip(made, found, strict=True)]
    return Nearest(found, np.array(exact))


def _flat(pictures: Bytes) -> npt.NDArray[np.float32]:
    """About the middle grey, where the products below lose the least."""
    return pictures.reshape(len(pictures), -1) * np.float32(1 / 255) - np.float32(0.5)


def _errors(made: npt.NDArray[np.float32], images: npt.NDArray[np.float32]) -> npt.NDArray:
    squares = np.square(made).sum(axis=1)[:, None] + np.square(images).sum(axis=1)
    return (squares - 2 * made @ images.T) / made.shape[1]


def _error(one: Bytes, other: Bytes) -> float:
    return float(np.square((one.astype(np.float64) - other) / 255).mean())


def write_table(
    file: Path, nearby: Nearest, classes: Sequence[str], ids: Sequence[str], labels: Sequence[str]
) -> None:
    """`classes` of the pictures; `ids` and `labels` of all images."""
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(["picture", "class", "nearest", "class of the nearest", "mse"])
        found = zip(classes, nearby.rows.tolist(), nearby.errors.tolist(), strict=True)
        for number, (name, row, error) in enumerate(found):
            writer.writerow([number, name, ids[row], labels[row], f"{error:.6f}"])
