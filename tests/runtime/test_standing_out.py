"""What was outlined differs from the skin around it, or it is no lesion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.acquisition import ACQUISITION
from runtime.bundle import QualityLimit
from runtime.standing_out import measure_standing_out
from train.phantom.compose import make_phantom

LIMIT = QualityLimit(**ACQUISITION["lesion_contrast"])
PIGMENT = QualityLimit(**ACQUISITION["lesion_pigment"])
SKIN, LESION = (150, 175, 215), (60, 80, 120)


def drawn(side: int = 200, radius: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A dark disc on skin, and its mask."""
    mask = cv2.circle(np.zeros((side, side), np.uint8), (side // 2,) * 2, radius, 1, -1)
    return np.where(mask[..., None] > 0, LESION, SKIN).astype(np.uint8), mask


def test_a_lesion_stands_out_and_a_piece_of_skin_does_not() -> None:
    picture, mask = drawn()
    lesion = measure_standing_out(picture, mask)
    assert lesion is not None
    assert lesion.contrast > 30
    elsewhere = np.roll(mask, (-60, -60), axis=(0, 1))
    for size in (6, 12, 20):
        small = cv2.circle(np.zeros_like(mask), (25, 170), size, 1, -1)
        skin = measure_standing_out(picture, small)
        assert skin is not None
        assert LIMIT.excludes(skin.contrast)
    half = measure_standing_out(picture, elsewhere)
    assert half is not None
    assert half.contrast < lesion.contrast


@pytest.mark.parametrize("index", range(12))
def test_drawn_lesions_stand_out(index: int) -> None:
    phantom = make_phantom(3, index, (240, 320))
    mask = (cv2.resize(phantom.mask, (128, 128)) > 127).astype(np.uint8)
    found = measure_standing_out(phantom.image, mask)
    if found is not None:
        assert not LIMIT.excludes(found.contrast)
        assert not PIGMENT.excludes(found.pigment)


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.2, 1, 0.75), (0.7, 0.9, 1.1)])
@pytest.mark.parametrize("light", [0.4, 1.0])
def test_a_lesion_takes_light_whatever_the_light_is(
    light: float, tint: tuple[float, float, float]
) -> None:
    """And no picture of it does with red and blue exchanged, or as a negative."""
    picture, mask = drawn()
    lit = np.clip(picture * (light * np.array(tint)), 0, 255).astype(np.uint8)
    found = [measure_standing_out(each, mask) for each in (lit, lit[..., ::-1], 255 - lit)]
    assert [each is None or PIGMENT.excludes(each.pigment) for each in found] == [False, True, True]


def test_a_light_spot_and_a_blue_one_have_no_pigment() -> None:
    _, mask = drawn()
    for spot in ((215, 225, 240), (150, 120, 100)):
        picture = np.where(mask[..., None] > 0, spot, SKIN).astype(np.uint8)
        found = measure_standing_out(picture, mask)
        assert found is not None
        assert PIGMENT.excludes(found.pigment)


@given(st.integers(20, 60), st.integers(120, 500), st.integers(120, 500))
def test_neither_the_masks_size_nor_the_pictures_matters(radius: int, high: int, wide: int) -> None:
    picture, mask = drawn(200, radius)
    sizes = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA)
    found = measure_standing_out(sizes, cv2.resize(mask, (64, 64), interpolation=cv2.INTER_NEAREST))
    whole = measure_standing_out(picture, mask)
    assert whole is not None
    assert found is None or found.contrast == pytest.approx(whole.contrast, rel=0.35)


def test_without_skin_around_it_nothing_is_said() -> None:
    picture, mask = drawn()
    assert measure_standing_out(picture, np.ones_like(mask)) is None
    assert measure_standing_out(picture, np.zeros_like(mask)) is None
