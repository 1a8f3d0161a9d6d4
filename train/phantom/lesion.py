"""The outline of a lesion: a signed field, its soft edge and its exact mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.phantom.noise import Bits, Field, Grid, fbm, smoothstep
from train.phantom.traits import Traits

_TURN = 4096  # entries of the tables over the angle


@dataclass(frozen=True)
class Shape:
    """`alpha` passes one half exactly on the border of `mask`."""

    field: Field  # about the distance to the border, positive inside, in short sides
    alpha: Field
    mask: Bits  # 0 or 255
    depth: Field  # 0 at the border and outside, 1 in the middle
    fingers: Field  # 0..1 along radial streaks, 0 without them
    radius: float


def _outline(rng: np.random.Generator, asymmetry: float) -> Field:
    """Radius over the angle, about 1."""
    angle = np.linspace(0, 2 * np.pi, _TURN, endpoint=False)
    radius = np.ones(_TURN)
    for k in range(2, 8):
        radius += rng.normal(0, 0.04 + 0.20 * asymmetry) / k * np.cos(k * angle + rng.uniform(0, 7))
    return np.clip(radius, 0.6, 1.45).astype(np.float32)


def _finger_table(rng: np.random.Generator) -> Field:
    """Narrow bumps over one or two sectors of the circle, or all around (starburst)."""
    angle = np.arange(_TURN) / _TURN
    table = np.zeros(_TURN)
    count = int(rng.integers(22, 52))
    for place in (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / count:
        gap = np.abs((angle - place + 0.5) % 1 - 0.5) * count
        table = np.maximum(
            table, rng.uniform(0.3, 1) * np.exp(-np.square(gap / rng.uniform(0.2, 0.42)))
        )
    if rng.random() > 0.3:
        sector = np.cos(2 * np.pi * (angle - rng.random()) * rng.integers(1, 3))
        table *= np.clip(0.5 + 1.5 * sector, 0, 1)
    return table.astype(np.float32)


def _look_up(table: Field, theta: Field) -> Field:
    key = (theta * np.float32(_TURN / (2 * np.pi))).astype(np.int32) & (_TURN - 1)
    return table.take(key)


def _single(field: Field) -> Field:
    """One piece without holes: islands and holes are folded over at the border level.

    The sign flips where the field is 0, so that it stays continuous.
    """
    inside = (field >= 0).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    if count > 2:
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        islands = (inside > 0) & (labels != largest)
        field = np.where(islands, -np.abs(field) - np.float32(1e-6), field)
        inside = (labels == largest).astype(np.uint8)
    around = cv2.copyMakeBorder(1 - inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels = cv2.connectedComponents(around, connectivity=4)
    if count > 2:
        holes = (around > 0) & (labels != labels[0, 0])
        field = np.where(holes[1:-1, 1:-1], np.abs(field), field)
    return field


def _centre(rng: np.random.Generator, grid: Grid, radius: float) -> NDArray[np.float64]:
    """Near the middle, as people aim; large lesions cannot move far."""
    room = max(0.02, 0.42 - radius) * 0.35
    tall, wide = grid.extent
    offset = np.clip(rng.normal(0, room, 2), -0.2, 0.2)
    return offset * np.array([2 * wide, 2 * tall])


def draw_shape(rng: np.random.Generator, grid: Grid, traits: Traits) -> Shape:
    x, y = grid.coordinates()
    tall, wide = grid.extent
    radius = float(np.clip(np.sqrt(traits.area * 4 * tall * wide / np.pi), 0.09, 0.46))
    cx, cy = _centre(rng, grid, radius)
    rough = 0.2 + 0.8 * traits.irregularity
    bend = 0.16 * rough * radius
    px = x - np.float32(cx) + np.float32(bend) * fbm(rng, grid, 0.30, 3)
    py = y - np.float32(cy) + np.float32(bend) * fbm(rng, grid, 0.30, 3)
    turn, squeeze = rng.uniform(0, np.pi), np.sqrt(rng.uniform(0.55, 0.95))
    across = (px * np.cos(turn) + py * np.sin(turn)).astype(np.float32) * np.float32(squeeze)
    along = (py * np.cos(turn) - px * np.sin(turn)).astype(np.float32) / np.float32(squeeze)
    distance, theta = cv2.cartToPolar(across, along)
    field: Field = radius * _look_up(_outline(rng, traits.asymmetry), theta) - distance

    for _ in range(int(rng.random() < traits.asymmetry) + int(rng.random() < 0.15)):
        angle, size = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.3, 0.6)
        lobe = np.float32(size) - np.hypot(
            px - np.float32(radius * 0.85 * np.cos(angle)),
            py - np.float32(radius * 0.85 * np.sin(angle)),
        )
        field = np.maximum(field, lobe)
    field = field + np.float32(0.085 * rough * radius) * fbm(rng, grid, 0.11, 5, 0.55)
    fingers = grid.zeros()
    if traits.cues["streaks"]:
        near = smoothstep(
            -np.abs(field + np.float32(0.06 * radius)), -0.28 * radius, -0.04 * radius
        )
        fingers = _look_up(_finger_table(rng), theta) * near
        field = field + np.float32(radius * rng.uniform(0.08, 0.2)) * (fingers - 0.3 * near)
    field = _single(field.astype(np.float32))

    width = 0.005 + 0.055 * traits.softness**1.4
    soft = np.float32(width) * np.exp(0.55 * fbm(rng, grid, 0.5, 2))
    alpha = 1 / (1 + np.exp(np.clip(-field / soft, -30, 30)))
    return Shape(
        field=field,
        alpha=alpha.astype(np.float32),
        mask=np.where(field >= 0, 255, 0).astype(np.uint8),
        depth=np.clip(field * np.float32(1 / (0.7 * radius)), 0, 1).astype(np.float32),
        fingers=fingers.astype(np.float32),
        radius=radius,
    )
