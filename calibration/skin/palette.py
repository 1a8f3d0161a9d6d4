"""Eighteen tones of skin, from A, the darkest, to R, the lightest: our own, see docs/skin-tones.md.

Colours are CIELAB (D65), where a distance is about as large as the difference that people see.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import numpy.typing as npt

Lab = tuple[float, float, float]  # lightness 0 to 100, green to red, blue to yellow


@dataclass(frozen=True, slots=True)
class Tone:
    name: str
    lab: Lab

    @property
    def bgr(self) -> tuple[int, int, int]:
        pixel = cv2.cvtColor(np.array([[self.lab]], np.float32), cv2.COLOR_LAB2BGR)[0, 0]
        blue, green, red = (round(float(value) * 255) for value in pixel)
        return blue, green, red

    @property
    def web(self) -> str:
        blue, green, red = self.bgr
        return f"#{red:02x}{green:02x}{blue:02x}"


@cache
def palette() -> tuple[Tone, ...]:
    text = (files("calibration.skin") / "tones.csv").read_text(encoding="utf-8")
    columns = ("lightness", "red_green", "yellow_blue")
    return tuple(
        Tone(row["tone"], (float(row[columns[0]]), float(row[columns[1]]), float(row[columns[2]])))
        for row in csv.DictReader(text.splitlines())
    )


def nearest_tone(colour: Sequence[float] | npt.NDArray[np.floating]) -> tuple[Tone, float]:
    """The tone that is least far off in CIELAB, and how far that is."""
    distances = [float(np.linalg.norm(np.subtract(tone.lab, colour))) for tone in palette()]
    place = int(np.argmin(distances))
    return palette()[place], distances[place]


def toned(name: str) -> Tone | None:
    return next((tone for tone in palette() if tone.name == name), None)
