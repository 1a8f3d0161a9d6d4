"""Hair, with the exact pixels it touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from train.phantom.canvas import Canvas
from train.phantom.noise import Bits, Field, Grid
from train.phantom.optics import cover

_COLOURS = np.array(
    [[0.05, 0.05, 0.07], [0.08, 0.11, 0.16], [0.14, 0.22, 0.32], [0.30, 0.42, 0.50]], np.float32
)
_KNOTS = np.linspace(0, 1, 21)


def _curve(
    rng: np.random.Generator, start: NDArray[np.float64], angle: float, length: float
) -> NDArray[np.float64]:
    """A cubic Bézier that leaves in direction `angle` and curls."""
    curl = rng.normal(0, 0.35, 2)
    steps = angle + np.array([0.0, curl[0], curl[0] + curl[1]])
    moves = length / 3 * np.stack([np.cos(steps), np.sin(steps)], axis=1)
    p0, p1, p2, p3 = start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
    t = _KNOTS[:, None]
    curve: NDArray[np.float64] = (
        (1 - t) ** 3 * p0 + 3 * t * (1 - t) ** 2 * p1 + 3 * t**2 * (1 - t) * p2 + t**3 * p3
    )
    return curve


def _strand(canvas: Canvas, curve: NDArray[np.float64], width: float, level: float) -> None:
    """Thinner towards the tip: OpenCV's lines have one width, so it is drawn in pieces."""
    for first in range(0, 20, 4):
        canvas.line(curve[first : first + 5], width * (1 - 0.6 * first / 20), level)


def draw_hair(rng: np.random.Generator, grid: Grid, image: Field) -> tuple[Field, Bits]:
    """Outside the returned mask (0/255) the image is unchanged, bit for bit."""
    canvas = Canvas(grid)
    short = grid.short
    stubble = rng.random() < 0.2  # shaved before the picture was taken
    count = int(rng.integers(12, 40)) if stubble else int(np.clip(rng.lognormal(2.0, 0.9), 1, 45))
    main = rng.uniform(0, 2 * np.pi)
    spread = rng.uniform(0.2, 1.2)
    width = short * rng.uniform(0.0026, 0.0058)
    for _ in range(count):
        start = rng.uniform(-0.05, 1.05, 2) * np.array([grid.width, grid.height])
        length = short * (rng.uniform(0.02, 0.06) if stubble else rng.lognormal(-0.95, 0.5))
        curve = _curve(rng, start, rng.normal(main, spread), length)
        _strand(canvas, curve, width * rng.uniform(0.6, 1.25), rng.uniform(0.55, 0.97))
    coverage = canvas.coverage()
    colour = _COLOURS[rng.choice(4, p=(0.35, 0.35, 0.2, 0.1))]
    mask = np.where(coverage > 0, 255, 0).astype(np.uint8)
    return cover(image, colour, coverage), mask
