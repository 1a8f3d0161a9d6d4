"""Each measure moves the way its name says, and is a number for any frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.lesion import Box, Lesion
from runtime.quality import MEASURES, measure_quality
from tests.bundle_factory import picture

WHOLE = Lesion(np.ones((4, 4), np.uint8), Box(0, 0, 640, 480), 1.0, True)


def measured(frame: np.ndarray, lesion: Lesion | None = None) -> dict[str, float]:
    return measure_quality(frame, lesion)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, 128, 255, None]))
def test_every_frame_has_numbers(height: int, width: int, level: int | None) -> None:
    frame = np.full((height, width, 3), level or 0, dtype=np.uint8)
    if level is None:
        frame = np.random.default_rng(0).integers(0, 256, frame.shape, dtype=np.uint8)
    measures = measured(frame)
    assert measures.keys() == MEASURES.keys()
    assert measures.pop("short_side") == min(height, width)
    assert all(0 <= value <= 1 for value in measures.values())


def test_blur_lowers_focus_step_by_step() -> None:
    sharp = picture(480, 640)
    seen = [measured(sharp)["focus"]]
    seen += [measured(cv2.GaussianBlur(sharp, (0, 0), sigma))["focus"] for sigma in (2, 4, 8)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 2 * seen[-1]


def test_focus_does_not_move_with_light_and_contrast() -> None:
    sharp = cv2.GaussianBlur(picture(480, 640), (0, 0), 2)
    dim = (sharp * 0.5 + 40).astype(np.uint8)
    assert measured(dim)["focus"] == pytest.approx(measured(sharp)["focus"], abs=0.06)


def test_light() -> None:
    frame = picture(480, 640)
    brighter = measured(cv2.add(frame, (40, 40, 40, 0)))
    assert brighter["exposure"] == pytest.approx(measured(frame)["exposure"] + 40 / 255, abs=0.02)
    assert measured(np.full_like(frame, 255))["bright_clipped"] == 1
    assert measured(np.zeros_like(frame))["dark_clipped"] == 1
    assert measured(frame)["dark_clipped"] == measured(frame)["bright_clipped"] == 0


def test_contrast() -> None:
    frame = picture(480, 640)
    assert measured(frame // 2 + 60)["contrast"] < 0.6 * measured(frame)["contrast"]
    assert measured(np.full_like(frame, 90))["contrast"] == 0


def test_glare_is_small_bright_and_without_colour() -> None:
    frame = picture(480, 640)
    assert measured(frame)["glare"] == 0
    spots, patch, yellow = frame.copy(), frame.copy(), frame.copy()
    for place in range(200, 440, 40):
        cv2.circle(spots, (place, 240), 6, (250, 250, 250), cv2.FILLED)
        cv2.circle(yellow, (place, 240), 6, (60, 250, 250), cv2.FILLED)
    patch[:] = 250  # an overexposed frame is not glare
    assert measured(spots, WHOLE)["glare"] > 0.001
    assert measured(yellow, WHOLE)["glare"] == 0
    assert measured(patch, WHOLE)["glare"] == 0


def test_dark_corners_of_the_optics_do_not_count() -> None:
    frame = picture(480, 640)
    corners = frame.copy()
    corners[:60], corners[-60:], corners[:, :60], corners[:, -60:] = 0, 0, 0, 0
    assert measured(corners) == measured(frame)


def test_the_lesion_is_looked_at_where_it_is() -> None:
    frame = picture(480, 640)
    frame[:100, :100] = 255
    corner = Lesion(np.ones((4, 4), np.uint8), Box(0, 0, 80, 80), 0.02, True)
    assert measured(frame)["bright_clipped"] == 0
    assert measured(frame, corner)["bright_clipped"] > 0.9
