"""What lies between skin and camera: gel, bubbles, ink, stickers, the aperture."""

from __future__ import annotations

import cv2
import numpy as np

from train.phantom.canvas import Canvas
from train.phantom.noise import Bits, Field, Grid, fbm, scatter, smoothstep
from train.phantom.optics import cover

_WHITE = np.array([0.98, 0.98, 0.98], np.float32)
_STICKERS = np.array(
    [[0.12, 0.42, 0.70], [0.32, 0.50, 0.28], [0.58, 0.50, 0.18], [0.26, 0.24, 0.58]], np.float32
)


def draw_ink(rng: np.random.Generator, grid: Grid, image: Field, lesion: Bits) -> Field:
    """A surgeon's pen: dots, a scribble or a broken ring, never on the lesion itself."""
    canvas, short = Canvas(grid), grid.short
    reach = max(2, round(0.05 * short)) | 1
    free = cv2.dilate(lesion, np.ones((reach, reach), np.uint8)) == 0
    style = rng.integers(3)
    if style == 0:
        for point in scatter(rng, grid, free, int(rng.integers(2, 7))):
            radius = short * rng.uniform(0.008, 0.02)
            canvas.ellipse(point, (radius, radius * rng.uniform(0.6, 1)), rng.uniform(0, 180))
    elif style == 1:
        for point in scatter(rng, grid, free, int(rng.integers(1, 3))):
            zigzag = rng.uniform(-0.05, 0.05, (14, 2)) * np.array([0.6, 1.3]) * short
            canvas.line(point + zigzag, short * 0.006)
    else:
        turn = np.linspace(0, rng.uniform(3, 6.3), 60) + rng.uniform(0, 6)
        wobble = short * (rng.uniform(0.36, 0.46) + 0.01 * np.sin(3 * turn + rng.uniform(0, 6)))
        ring = np.stack([wobble * np.cos(turn), wobble * np.sin(turn)], axis=1)
        canvas.line(ring + np.array([grid.width / 2, grid.height / 2]), short * 0.014)
    worn = smoothstep(fbm(rng, grid, 0.05, 3, 0.7), -1.4, 0.6)  # gel and skin lines wash it out
    amount = canvas.coverage() * free * worn * np.float32(rng.uniform(0.5, 0.9))
    stain = np.array([0.55, 0.16 + 0.1 * rng.random(), 0.22 + 0.16 * rng.random()], np.float32)
    return cover(image, stain, cv2.GaussianBlur(amount, (0, 0), 0.004 * short))


def draw_bubbles(rng: np.random.Generator, grid: Grid, image: Field) -> Field:
    """Thin rings, dark outside and bright inside, with a glint."""
    dark, bright = Canvas(grid), Canvas(grid)
    unit = grid.short / 256
    rim = 1.2 * unit
    for point in scatter(rng, grid, np.ones(grid.shape, bool), int(rng.integers(1, 14))):
        radius = unit * rng.lognormal(1.2, 0.6)
        dark.ellipse(point, (radius, radius), level=rng.uniform(0.3, 0.7), width=rim)
        inner = max(0.5, radius - rim)
        bright.ellipse(point, (inner, inner), level=rng.uniform(0.3, 0.7), width=0.7 * rim)
        glint = point + 0.45 * radius * np.array([-1, -1])
        bright.ellipse(glint, (0.22 * radius, 0.22 * radius), level=0.9)
    image = image * (1 - 0.3 * dark.coverage()[..., None])
    return cover(image, _WHITE, 0.4 * bright.coverage())


def draw_gel_border(rng: np.random.Generator, grid: Grid, image: Field) -> Field:
    """The edge of the drop: a bent bright line beside a dark one; dry skin outside glistens."""
    x, y = grid.coordinates()
    dx, dy = rng.normal(0, 0.06, 2)
    squeeze = rng.uniform(0.8, 1.2)
    distance = np.hypot((x - np.float32(dx)) * np.float32(squeeze), y - np.float32(dy))
    edge = np.float32(rng.uniform(0.34, 0.52)) + 0.012 * fbm(rng, grid, 0.5, 2) - distance
    line = np.float32(rng.uniform(0.002, 0.005))
    light = np.exp(-np.square(edge / line)) * smoothstep(x * rng.choice([-1, 1]) + y, -0.5, 0.4)
    dark = np.exp(-np.square((edge - 2 * line) / line))
    image = image * (1 - np.float32(rng.uniform(0.06, 0.2)) * dark[..., None])
    grain = smoothstep(fbm(rng, grid, 0.013, 2, 1.0), 0.2, 3.4)
    patchy = smoothstep(fbm(rng, grid, 0.35, 2), -0.6, 1.6)
    dry = smoothstep(-edge, 0, 0.05) * grain * patchy * np.float32(rng.uniform(0.0, 0.5))
    return cover(image, _WHITE, np.clip(np.float32(rng.uniform(0.1, 0.4)) * light + dry, 0, 1))


def draw_sticker(rng: np.random.Generator, grid: Grid, image: Field, lesion: Bits) -> Field | None:
    """A coloured disc over the edge of the picture; None where it would cover the lesion."""
    x, y = grid.coordinates()
    tall, wide = grid.extent
    radius = rng.uniform(0.15, 0.3)
    turn = rng.uniform(0, 2 * np.pi)
    cx, cy = (wide + 0.05) * np.cos(turn), (tall + 0.05) * np.sin(turn)
    inside = np.float32(radius) - np.hypot(x - np.float32(cx), y - np.float32(cy))
    amount = smoothstep(inside, -0.004, 0.004)
    if np.any((amount > 0) & (lesion > 0)):
        return None
    shade = 1 + 0.05 * fbm(rng, grid, 0.02, 2)
    return cover(image, _STICKERS[rng.integers(4)] * shade[..., None], amount)


def aperture(rng: np.random.Generator, grid: Grid) -> tuple[Field, Field]:
    """Light let through (0..1) by a round tube, and the colour of what it hides."""
    x, y = grid.coordinates()
    tall, wide = grid.extent
    corner = float(np.hypot(tall, wide))
    radius = rng.uniform(0.86, 1.0) * corner if rng.random() < 0.7 else rng.uniform(0.44, 0.62)
    dx, dy = rng.normal(0, 0.02, 2)
    inside = np.float32(radius) - np.hypot(x - np.float32(dx), y - np.float32(dy))
    soft = rng.uniform(0.006, 0.05)
    dark = np.float32(rng.uniform(0.01, 0.12)) * np.array([1.1, 1.0, 1.0], np.float32)
    return smoothstep(inside, -soft, soft), dark
