"""The colour of skin that is known, with what lies on dermoscopic pictures."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from calibration.skin.around import skin_colour
from calibration.skin.palette import Tone, nearest_tone, palette
from tests.calibration.skin.drawn import (
    mask,
    skin,
    with_dark_corners,
    with_hair,
    with_ruler_and_ink,
)

SOME = palette()[::3]
Spoilt = Callable[[np.ndarray], np.ndarray]


@pytest.mark.parametrize("tone", palette(), ids=lambda tone: tone.name)
def test_every_tone_is_told(tone: Tone) -> None:
    colour = skin_colour(skin(tone), mask())
    assert colour is not None
    found, distance = nearest_tone(colour)
    assert found == tone
    assert distance < 1


@pytest.mark.parametrize("spoil", [with_hair, with_dark_corners, with_ruler_and_ink])
@pytest.mark.parametrize("tone", SOME, ids=lambda tone: tone.name)
def test_hair_corners_rulers_and_ink_do_not_count(spoil: Spoilt, tone: Tone) -> None:
    clean, spoilt = (skin_colour(f, mask()) for f in (skin(tone), spoil(skin(tone))))
    assert clean is not None
    assert spoilt is not None
    assert float(np.linalg.norm(spoilt - clean)) < 2.5


@pytest.mark.parametrize("spoil", [with_hair, with_dark_corners])
def test_without_care_they_would(spoil: Spoilt) -> None:
    """A negative control: the mean of all that is outside the lesion is far off."""
    tone = palette()[14]
    frame = spoil(skin(tone)).astype(np.float32) / 255
    outside = cv2.cvtColor(frame, cv2.COLOR_BGR2LAB)[mask() == 0].mean(axis=0)
    assert float(np.linalg.norm(outside - np.array(tone.lab))) > 5


@pytest.mark.parametrize("side", [48, 240, 1200])
def test_the_mask_may_have_another_size(side: int) -> None:
    tone = palette()[10]
    other = cv2.resize(mask(), (side * 4 // 3, side), interpolation=cv2.INTER_NEAREST)
    found = skin_colour(cv2.resize(skin(tone), (1280, 960)), other)
    assert found is not None
    assert nearest_tone(found)[0] == tone


def test_no_skin_in_sight_is_no_tone() -> None:
    frame = skin(palette()[9])
    assert skin_colour(frame, np.ones_like(mask())) is None
    assert skin_colour(np.zeros_like(frame), mask()) is None
    assert skin_colour(np.full_like(frame, 255), mask()) is None
