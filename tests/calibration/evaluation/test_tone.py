"""The angle of skin whose colour is known, with what lies on dermoscopic pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.evaluation.tone import GROUPS, LIMITS, skin_angle, tone_group
from runtime.lesion import Lesion, find_lesion


def painted(lightness: float, yellow: float, red: float = 12.0) -> np.ndarray:
    """Skin of one colour of CIELAB, with a dark lesion in its middle."""
    skin = np.full((240, 320, 3), (lightness, red, yellow), np.float32)
    frame = np.round(cv2.cvtColor(skin, cv2.COLOR_LAB2BGR) * 255).astype(np.uint8)
    cv2.circle(frame, (160, 120), 50, (30, 40, 60), cv2.FILLED)
    return frame


def lesion() -> Lesion:
    mask = np.zeros((48, 64), np.uint8)
    cv2.circle(mask, (32, 24), 10, 1, cv2.FILLED)
    found = find_lesion(mask, 240, 320)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lightness", "yellow", "group"),
    [
        (75, 12, "very light"),
        (70, 20, "light"),
        (62, 18, "intermediate"),
        (56, 18, "tan"),
        (46, 18, "brown"),
        (30, 14, "dark"),
    ],
)
def test_skin_of_a_known_colour(lightness: float, yellow: float, group: str) -> None:
    angle = skin_angle(painted(lightness, yellow), lesion())
    assert angle == pytest.approx(np.degrees(np.arctan((lightness - 50) / yellow)), abs=4)
    assert tone_group(angle) == group


def test_hairs_corners_and_the_lesion_do_not_count() -> None:
    frame = painted(62, 18)
    clean = skin_angle(frame, lesion())
    for x in range(20, 320, 40):
        cv2.line(frame, (x, 0), (x - 30, 239), (20, 20, 25), 2)
    cv2.circle(frame, (160, 120), 195, (0, 0, 0), 70)
    assert skin_angle(frame, lesion()) == pytest.approx(clean, abs=3)


def test_what_cannot_be_told_is_not_told() -> None:
    assert np.isnan(skin_angle(painted(60, -8), lesion()))  # no skin is blue
    assert np.isnan(skin_angle(np.zeros((240, 320, 3), np.uint8), lesion()))
    assert tone_group(float("nan")) is None


def test_every_angle_has_one_group() -> None:
    assert len(GROUPS) == len(LIMITS) + 1
    groups = [tone_group(angle) for angle in np.arange(90.0, -90.0, -0.5)]
    assert list(dict.fromkeys(groups)) == list(GROUPS)
