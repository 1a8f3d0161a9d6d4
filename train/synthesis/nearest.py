"""Whether a generator has learnt its training images by heart: how near each picture is to one.

Bisla et al. take the image with the smallest mean squared error, over pixels from 0 to 1. That
alone says little: a smooth picture is near to many. A copy is near to one, or to a few of the same
lesion, and far from all others: as Carlini et al. (2023) do, the error is compared with the mean of
those to the next nearest images.
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
NEXT = 10  # images behind the nearest: more than there are pictures of one lesion
NEAR = 0.25  # of their mean error: half as far away


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of each picture, the row of its nearest image, the mean squared error to that one, and the
    mean of those to the next."""

    rows: npt.NDArray[np.int64]
    errors: npt.NDArray[np.float64]
    next_errors: npt.NDArray[np.float64]

    @classmethod
    def of(cls, parts: Sequence[Nearest]) -> Nearest:
        """Of one set of pictures after the other."""
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.errors for part in parts]),
            np.concatenate([part.next_errors for part in parts]),
        )

    @property
    def exact(self) -> npt.NDArray[np.bool_]:
        """Pictures that are a training image, pixel for pixel."""
        return self.errors == 0

    @property
    def copies(self) -> npt.NDArray[np.bool_]:
        """Pictures that are nearer to one training image than to most of its neighbours."""
        return self.exact | (self.errors < NEAR * self.next_errors)


def nearest(made: Bytes, images: Bytes, rows: Sequence[int]) -> Nearest:
    """Among the images of `rows`, at least two."""
    count = min(1 + NEXT, len(rows))
    best = np.full((len(made), count), np.inf, np.float32)
    found = np.zeros((len(made), count), np.int64)
    for start in range(0, len(rows), BATCH):
        near = np.asarray(rows[start : start + BATCH])
        others = _flat(images[near])
        for first in range(0, len(made), BATCH):
            here = slice(first, first + BATCH)
            errors = _errors(_flat(made[here]), others)
            known = np.concatenate([best[here], errors], axis=1)
            whose = np.concatenate([found[here], np.broadcast_to(near, errors.shape)], axis=1)
            nearer = np.argsort(known, axis=1, kind="stable")[:, :count]
            best[here] = np.take_along_axis(known, nearer, axis=1)
            found[here] = np.take_along_axis(whose, nearer, axis=1)
    # Once more from the difference itself: products of sums are not exact enough to say "equal".
    pairs = zip(made, found, strict=True)
    exact = np.array([[_error(picture, images[row]) for row in few] for picture, few in pairs])
    nearest_of = found[np.arange(len(made)), exact.argmin(axis=1)]
    exact.sort(axis=1)
    return Nearest(nearest_of, exact[:, 0], exact[:, 1:].mean(axis=1))


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
        head = ["picture", "class", "nearest", "class of the nearest", "mse", "mse to the next"]
        writer.writerow(head)
        errors = np.stack([nearby.errors, nearby.next_errors], axis=1).tolist()
        found = zip(classes, nearby.rows.tolist(), errors, strict=True)
        for number, (name, row, two) in enumerate(found):
            writer.writerow([number, name, ids[row], labels[row], *(f"{one:.6f}" for one in two)])
