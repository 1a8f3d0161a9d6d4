"""What a dermatologist looks for inside a lesion, each as an addition to the pigment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from train.phantom.canvas import Canvas
from train.phantom.lesion import Shape
from train.phantom.noise import Field, Grid, cell_borders, fbm, scatter, smoothstep
from train.phantom.optics import Pigment
from train.phantom.traits import Traits

Painter = Callable[[np.random.Generator, Grid, Shape, Traits, Pigment], None]


def base(rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment) -> None:
    """The body: browns that differ across the lesion, and the pink of its blood."""
    broad = fbm(rng, grid, max(0.12, 0.9 * shape.radius), 3)
    middle = fbm(rng, grid, 0.10, 4, 0.6)
    grain = fbm(rng, grid, 0.024, 3, 0.8)
    peak = 0.36 + 1.35 * traits.darkness
    rise = rng.uniform(-0.2, 1.0)  # dark or pale middle
    body = 1 + np.float32(rise) * (shape.depth - np.float32(0.5))
    clumps = np.exp((0.10 + 0.40 * traits.variegation) * (0.75 * broad + 0.40 * middle))
    density = peak * body * clumps * (1 + 0.10 * grain)
    if rng.random() < 0.15 + 0.5 * traits.variegation:  # dark blotches off the middle
        blotch = smoothstep(broad + 0.8 * middle, 0.7, 1.5)
        density = density + np.float32(rng.uniform(0.3, 1.3)) * blotch
    density = 3.4 * np.tanh(density * np.float32(1 / 3.4))
    out.melanin += (shape.alpha * density).astype(np.float32)
    dark = 0.50 - 0.8 * traits.yellowness + 0.30 * (density - 1.2)
    out.sepia += np.clip(dark + 0.3 * traits.variegation * middle, 0, 1).astype(np.float32)
    red = rng.beta(1.1, 6) * (0.3 + traits.variegation)
    out.blood += shape.alpha * (np.float32(red) * smoothstep(middle - broad, -1.2, 1.8))


def network(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Honeycomb lines; wide, broken and uneven where the lesion is irregular."""
    x, y = grid.coordinates()
    uneven = traits.irregularity
    cell = rng.uniform(0.020, 0.034)
    bend = np.float32(cell * (0.25 + 0.45 * uneven))
    borders = cell_borders(
        rng,
        x + bend * fbm(rng, grid, 0.09, 3),
        y + bend * fbm(rng, grid, 0.09, 3),
        cell,
        0.18 + 0.22 * uneven,
    )
    patchy = fbm(rng, grid, 0.16, 3)
    width = (0.16 + 0.08 * uneven) * np.exp(0.35 * uneven * patchy)
    lines = np.exp(-np.square(borders / width))
    shift = 0.5 - 1.1 * rng.random() - 0.3 * uneven
    where = smoothstep(
        patchy - 1.2 * shape.depth * rng.uniform(-0.3, 1.2), shift - 0.7, shift + 0.7
    )
    strength = rng.uniform(0.18, 0.5)
    holes = 1 + where * np.float32(strength) * (1.6 * lines - 0.7)
    out.melanin *= np.clip(holes, 0.1, 3)
    out.melanin += shape.alpha * where * lines * np.float32(0.25 * strength)
    out.sepia += 0.25 * where * lines


def globules(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Round brown clods, scattered or as a rim."""
    rim = rng.random() < 0.3
    where = (shape.field > 0.004) & ((shape.depth < 0.35) if rim else (shape.depth > 0.1))
    canvas = Canvas(grid)
    size = grid.short * rng.uniform(0.006, 0.013)
    for point in scatter(rng, grid, where, int(rng.integers(16, 95))):
        radius = size * rng.lognormal(0, 0.2 + 0.25 * traits.irregularity)
        axes = (radius, radius * rng.uniform(0.65, 1))
        canvas.ellipse(point, axes, rng.uniform(0, 180), rng.uniform(0.45, 1))
    clods = canvas.coverage() * shape.alpha
    out.melanin += np.float32(rng.uniform(0.45, 1.1)) * clods
    out.sepia += 0.35 * clods


def streaks(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """The fingers of the outline, darker than what is between them."""
    out.melanin *= 1 + np.float32(rng.uniform(0.3, 0.9)) * (shape.fingers - 0.15)
    out.melanin += shape.alpha * shape.fingers * np.float32(rng.uniform(0.15, 0.6))
    out.sepia += 0.25 * shape.fingers


def _area(rng: np.random.Generator, grid: Grid, shape: Shape, share: float) -> Field:
    """A soft part of the lesion, about `share` of it, away from its border."""
    noise = fbm(rng, grid, max(0.10, 0.8 * shape.radius), 4) + 0.8 * shape.depth
    inside = noise[shape.mask > 0]
    level = float(np.quantile(inside, 1 - share)) if inside.size else 0.0
    return smoothstep(noise, level - 0.9, level + 0.9) * smoothstep(shape.depth, 0.0, 0.4)


def blue_white_veil(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    amount = _area(rng, grid, shape, rng.uniform(0.12, 0.5)) * shape.alpha
    out.deep += np.float32(rng.uniform(0.25, 0.6)) * amount
    haze = 1 + 0.35 * fbm(rng, grid, 0.07, 4, 0.7)
    out.veil += np.float32(rng.uniform(0.12, 0.45)) * amount * np.clip(haze, 0.1, 1.7)
    out.melanin *= 1 - 0.45 * amount


def regression(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Pigment lost to a white-pink scar, with grey peppering left behind."""
    amount = _area(rng, grid, shape, rng.uniform(0.12, 0.45)) * shape.alpha
    strength = np.float32(rng.uniform(0.45, 0.9))
    out.melanin *= 1 - strength * amount
    veins = 1 + 0.35 * fbm(rng, grid, 0.05, 4, 0.7)
    out.scar += np.float32(rng.uniform(0.08, 0.35)) * amount * np.clip(veins, 0, 1.8)
    out.blood += np.float32(rng.uniform(0.0, 0.22)) * amount
    canvas = Canvas(grid)
    for point in scatter(rng, grid, amount > 0.4, int(rng.integers(20, 160))):
        radius = grid.short * rng.uniform(0.0015, 0.0045)
        canvas.ellipse(point, (radius, radius), level=rng.uniform(0.3, 1))
    out.deep += np.float32(rng.uniform(0.25, 0.6)) * canvas.coverage() * amount


def milia_like_cysts(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Bright round dots with a soft rim."""
    halo, core = Canvas(grid), Canvas(grid)
    for point in scatter(rng, grid, shape.depth > 0.12, int(rng.integers(4, 26))):
        radius = grid.short * rng.lognormal(-4.95, 0.35)
        level = rng.uniform(0.5, 1)
        halo.ellipse(point, (radius, radius), level=0.5 * level)
        core.ellipse(point, (0.6 * radius, 0.6 * radius), level=level)
    amount = np.maximum(halo.coverage(), core.coverage()) * shape.alpha
    out.melanin *= 1 - 0.6 * amount
    out.keratin += np.float32(rng.uniform(0.5, 0.9)) * amount


def comedo_like_openings(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Dark plugs, rounder and sharper than globules, in a paler collar."""
    plugs, collars = Canvas(grid), Canvas(grid)
    for point in scatter(rng, grid, shape.depth > 0.12, int(rng.integers(4, 18))):
        radius = grid.short * rng.lognormal(-4.5, 0.35)
        axes = (radius, radius * rng.uniform(0.5, 1))
        angle = rng.uniform(0, 180)
        collars.ellipse(point, (1.5 * axes[0], 1.5 * axes[1]), angle, 0.5)
        plugs.ellipse(point, axes, angle, rng.uniform(0.6, 1))
    dark = plugs.coverage() * shape.alpha
    out.melanin *= 1 - 0.35 * collars.coverage() * shape.alpha
    out.melanin += np.float32(rng.uniform(0.9, 1.8)) * dark
    out.sepia += 0.6 * dark


def fissures(
    rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits, out: Pigment
) -> None:
    """Furrows and ridges like those of a brain, with keratin on some ridges."""
    folds = fbm(rng, grid, rng.uniform(0.05, 0.10), 2, 0.35)
    furrow = np.exp(-np.square(folds / np.float32(rng.uniform(0.16, 0.32))))
    inside = shape.alpha * smoothstep(shape.depth, 0.05, 0.3)
    out.melanin *= 1 + np.float32(rng.uniform(0.2, 0.5)) * inside * (furrow - 0.4)
    out.melanin += np.float32(rng.uniform(0.15, 0.6)) * inside * furrow
    scale = smoothstep(np.abs(folds) + 0.6 * fbm(rng, grid, 0.03, 3, 0.9), 1.1, 3.2)
    out.keratin += np.float32(rng.uniform(0, 0.5)) * inside * scale


PAINTERS: dict[str, Painter] = {
    "network": network,
    "fissures": fissures,
    "globules": globules,
    "streaks": streaks,
    "regression": regression,
    "blue_white_veil": blue_white_veil,
    "comedo_like_openings": comedo_like_openings,
    "milia_like_cysts": milia_like_cysts,
}


def paint_lesion(rng: np.random.Generator, grid: Grid, shape: Shape, traits: Traits) -> Pigment:
    pigment = Pigment.empty(grid)
    base(rng, grid, shape, traits, pigment)
    for name, painter in PAINTERS.items():
        if traits.cues[name]:
            painter(rng, grid, shape, traits, pigment)
    return pigment
