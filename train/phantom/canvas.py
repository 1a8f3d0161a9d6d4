"""Antialiased coverage: thin things are drawn large and averaged down."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from train.phantom.noise import Field, Grid

# Coverage below this is dropped, so that a mask made of "touched at all" is not a pixel too wide.
FAINTEST = 0.1


class Canvas:
    """Draws in the pixels of the grid; `coverage()` gives 0..1 for each of them."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.scale = 4 if grid.short <= 512 else 2
        self._sheet = np.zeros((grid.height * self.scale, grid.width * self.scale), np.uint8)

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """OpenCV takes fractions of a pixel as integers with four bits after the point."""
        return np.round((points * self.scale - 0.5) * 16).astype(np.int32)

    def thickness(self, pixels: float) -> int:
        return max(1, round(pixels * self.scale))

    def line(self, points: NDArray[np.float64], width: float, level: float = 1.0) -> None:
        path = [self._fixed(points).reshape(-1, 1, 2)]
        cv2.polylines(
            self._sheet, path, False, 255 * level, self.thickness(width), cv2.LINE_8, shift=4
        )

    def ellipse(
        self,
        centre: NDArray[np.float64],
        axes: tuple[float, float],
        angle: float = 0.0,
        level: float = 1.0,
        width: float | None = None,
    ) -> None:
        """Filled, or an outline where `width` is given."""
        x, y = (int(v) for v in self._fixed(centre))
        half = [max(1, round(a * self.scale * 16)) for a in axes]
        thickness = -1 if width is None else self.thickness(width)
        cv2.ellipse(
            self._sheet, (x, y), half, angle, 0, 360, 255 * level, thickness, cv2.LINE_8, shift=4
        )

    def text(self, words: str, at: NDArray[np.float64], height: float, level: float) -> None:
        x, y = (round(v * self.scale) for v in at)
        size = height * self.scale / 22.0
        cv2.putText(
            self._sheet,
            words,
            (x, y),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            255 * level,
            max(1, round(size * 1.4)),
            cv2.LINE_8,
        )

    def coverage(self) -> Field:
        size = (self.grid.width, self.grid.height)
        small = cv2.resize(self._sheet, size, interpolation=cv2.INTER_AREA)
        field: Field = small.astype(np.float32) * np.float32(1 / 255)
        field[field < FAINTEST] = 0
        return field
