"""Measuring scales: a printed bar, ticks along an edge, ticks along the aperture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from train.phantom.canvas import Canvas
from train.phantom.noise import Bits, Field, Grid
from train.phantom.optics import cover


def _bar(rng: np.random.Generator, canvas: Canvas, grid: Grid) -> None:
    """A thin line with ticks and the letters MM, low in the picture."""
    short = grid.short
    angle = rng.choice([0.0, rng.normal(0, 0.06), rng.uniform(-0.7, 0.7)])
    along = np.array([np.cos(angle), np.sin(angle)])
    up = np.array([along[1], -along[0]])
    length = short * rng.uniform(0.36, 0.55)
    middle = np.array([grid.width * rng.uniform(0.38, 0.62), grid.height * rng.uniform(0.8, 0.93)])
    start = middle - along * length / 2
    width, level = short * rng.uniform(0.0035, 0.006), rng.uniform(0.55, 0.9)
    canvas.line(np.stack([start, start + along * length]), width, level)
    for k in range(11):
        foot = start + along * length * k / 10
        tall = short * (0.032 if k % 5 == 0 else 0.018)
        canvas.line(np.stack([foot, foot + up * tall]), width, level)
    canvas.text("MM", start + np.array([0, 0.045 * short]), 0.026 * short, level)


def _edge(rng: np.random.Generator, canvas: Canvas, grid: Grid) -> None:
    """Bold ticks of a scale laid beside the lesion, cut by the side of the picture."""
    short = grid.short
    left = rng.random() < 0.5
    gap, tall = short * rng.uniform(0.035, 0.09), short * rng.uniform(0.03, 0.09)
    width, level = short * rng.uniform(0.005, 0.014), rng.uniform(0.7, 0.95)
    tilt = rng.normal(0, 0.05)
    for k in range(int(grid.height / gap) + 2):
        y = (k - 0.5) * gap
        reach = tall * (1.6 if k % 5 == 0 else 1.0)
        x = short * 0.01 + tilt * (y - grid.height / 2)
        ends = np.array([[x, y], [x + reach, y - tilt * reach]])
        if not left:
            ends[:, 0] = grid.width - ends[:, 0]
        canvas.line(ends, width, level)


def _arc(rng: np.random.Generator, canvas: Canvas, grid: Grid) -> None:
    """Ticks of a scale etched into the glass near the rim."""
    short = grid.short
    centre = np.array([grid.width / 2, grid.height / 2])
    radius, width = short * rng.uniform(0.43, 0.49), short * rng.uniform(0.004, 0.008)
    first, level = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.9)
    for k in range(int(rng.integers(7, 16))):
        turn = first + k * 0.075
        ray: NDArray[np.float64] = np.array([np.cos(turn), np.sin(turn)])
        inner = radius - short * (0.045 if k % 5 == 0 else 0.026)
        canvas.line(np.stack([centre + ray * inner, centre + ray * radius]), width, level)


def draw_ruler(rng: np.random.Generator, grid: Grid, image: Field) -> tuple[Field, Bits]:
    """Outside the returned mask (0/255) the image is unchanged, bit for bit."""
    canvas = Canvas(grid)
    style = rng.choice(3, p=(0.6, 0.2, 0.2))
    (_bar, _edge, _arc)[style](rng, canvas, grid)
    coverage = canvas.coverage()
    colour = np.full(3, rng.uniform(0.03, 0.2), np.float32)
    return cover(image, colour, coverage), np.where(coverage > 0, 255, 0).astype(np.uint8)
