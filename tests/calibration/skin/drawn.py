"""Skin of a tone of the palette with a dark lesion in its middle, and what lies on pictures."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.skin.palette import Tone

SHAPE = (240, 320)
CENTRE, AXES = (160, 120), (50, 40)


def skin(tone: Tone, shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Not all of one colour: pores and light make it vary by some grey levels."""
    noise = np.random.default_rng(seed).normal(0, 4, (*shape, 1))
    frame = np.clip(np.array(tone.bgr) + noise, 0, 255).astype(np.uint8)
    cv2.ellipse(frame, CENTRE, AXES, 20, 0, 360, (30, 40, 60), cv2.FILLED)
    return frame


def mask(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    drawn = np.zeros(shape, np.uint8)
    cv2.ellipse(drawn, CENTRE, AXES, 20, 0, 360, 1, cv2.FILLED)
    return drawn


def with_hair(frame: np.ndarray, many: int = 60) -> np.ndarray:
    hairy, rng = frame.copy(), np.random.default_rng(1)
    for _ in range(many):
        x, y, dx = rng.integers(-20, 340), rng.integers(0, 240), rng.integers(-60, 60)
        cv2.line(hairy, (int(x), int(y) - 90), (int(x + dx), int(y) + 90), (20, 22, 26), 2)
    return hairy


def with_dark_corners(frame: np.ndarray) -> np.ndarray:
    """As a dermatoscope's tube leaves them: black outside, and a fall to it."""
    height, width = frame.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    away = np.hypot((columns - width / 2) / (width / 2), (rows - height / 2) / (height / 2))
    return (frame * np.clip((1.15 - away) / 0.15, 0, 1)[..., None]).astype(np.uint8)


def with_ruler_and_ink(frame: np.ndarray) -> np.ndarray:
    marked = frame.copy()
    cv2.rectangle(marked, (0, 200), (319, 239), (245, 245, 245), cv2.FILLED)
    cv2.circle(marked, (250, 60), 18, (160, 40, 90), cv2.FILLED)
    return marked
