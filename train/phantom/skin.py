"""Skin around and under the lesion: tone, blood, freckles, fine lines."""

from __future__ import annotations

import cv2
import numpy as np

from train.phantom.canvas import Canvas
from train.phantom.noise import Field, Grid, fbm, scatter, smoothstep
from train.phantom.optics import BLOOD, PALE_SKIN, TAN
from train.phantom.traits import TONES

_MELANIN = np.array([1.00, 0.84, 0.66], np.float32)
_DARKEST = 1.6


def tone_density(tone: int) -> float:
    """Tones 1 (palest) to 18 (darkest), evenly spaced to the eye."""
    return float(_DARKEST * ((tone - 1) / (TONES - 1)) ** 1.15)


def tone_colour(tone: int) -> Field:
    colour: Field = PALE_SKIN * np.exp(-np.float32(tone_density(tone)) * _MELANIN)
    return colour


def _threads(field: Field, width: float) -> Field:
    """Lines along the zero crossings of a noise: vessels, furrows."""
    return np.exp(-np.square(field * np.float32(1 / width)))


def _relief(rng: np.random.Generator, grid: Grid) -> Field:
    """The fine creases of skin: noise drawn out along two directions that cross."""
    unit = grid.short / 256
    reach = max(3, round(rng.uniform(3, 8) * unit)) | 1
    turn, crossing = rng.uniform(0, np.pi), rng.uniform(0.9, 1.6)
    relief = 0.8 * fbm(rng, grid, 0.012, 2, 1.0)
    for angle in (turn, turn + crossing):
        kernel = np.zeros((reach, reach), np.uint8)
        arm = 0.5 * reach * np.array([np.cos(angle), np.sin(angle)])
        first, last = (np.round(reach // 2 + s * arm).astype(int).tolist() for s in (-1, 1))
        cv2.line(kernel, first, last, 255, 1, cv2.LINE_AA)
        along = cv2.filter2D(fbm(rng, grid, 0.010, 2, 1.0), cv2.CV_32F, kernel / kernel.sum())
        relief = relief + along * np.float32(1 / max(float(along.std()), 1e-6))
    return relief.astype(np.float32)


def _freckles(rng: np.random.Generator, grid: Grid) -> Field:
    spots = Canvas(grid)
    unit = grid.short / 256
    for point in scatter(rng, grid, np.ones(grid.shape, bool), int(rng.integers(3, 26))):
        radius = unit * rng.lognormal(0.5, 0.5)
        axes = (radius, radius * rng.uniform(0.6, 1))
        spots.ellipse(point, axes, rng.uniform(0, 180), rng.uniform(0.3, 1))
    return spots.coverage()


def paint_skin(rng: np.random.Generator, grid: Grid, tone: int) -> Field:
    """BGR reflectance, 0..1."""
    damage = rng.beta(1.2, 3)  # sun-damaged skin is mottled
    coarse = fbm(rng, grid, 0.45, 3)
    middle = fbm(rng, grid, 0.11, 5, 0.65)
    fine = fbm(rng, grid, 0.022, 3, 0.9)
    tan = 0.03 * coarse + (0.02 + 0.07 * damage) * middle + 0.012 * fine
    tan += (0.04 + 0.40 * damage) * smoothstep(middle + 0.5 * coarse + 0.3 * fine, 1.2, 3.4)
    if rng.random() < 0.55:
        tan += rng.uniform(0.08, 0.4) * _freckles(rng, grid)

    network = fbm(rng, grid, 0.07, 4, 0.6)
    patches = smoothstep(coarse - 0.6 * middle, -0.8, 1.6)
    pink = rng.beta(1.1, 5) * 0.6
    blood = pink * (0.8 + 0.35 * patches + 0.07 * fine + 0.05 * network)
    blood += (0.01 + 0.35 * pink) * rng.random() * _threads(network, 0.25) * patches

    lines = rng.uniform(0.003, 0.017) * _relief(rng, grid)
    lines += rng.uniform(0.0, 0.03) * _threads(fine + 0.5 * middle, 0.35)
    density = tan[..., None] * TAN + lines[..., None] * _MELANIN + blood[..., None] * BLOOD
    reflectance: Field = tone_colour(tone) * np.exp(-density)
    return reflectance
