"""Lesions on a tone of the palette: what stays, what does not, and how tones are dealt."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.skin.backgrounds import draw_tones, set_on
from calibration.skin.palette import palette
from runtime.lesion import cut_view, find_lesion
from runtime.specs import ViewSpec
from tests.calibration.skin.drawn import mask, skin

BLACK = ViewSpec(area="lesion", background="black")


@pytest.mark.parametrize("tone", palette()[::4], ids=lambda tone: tone.name)
def test_the_tone_is_where_the_recipes_crop_is_black(tone: object) -> None:
    frame = np.maximum(skin(palette()[12]), 1)  # so that black is background and nothing else
    lesion = find_lesion(mask(), *frame.shape[:2])
    assert lesion is not None
    black, made = cut_view(frame, BLACK, lesion), set_on(tone, frame, lesion)  # type: ignore[arg-type]
    assert made.shape == black.shape
    outside = (black == 0).all(axis=2)
    assert 0.1 < outside.mean() < 0.6
    np.testing.assert_array_equal(made[~outside], black[~outside])
    assert set(map(tuple, made[outside].tolist())) == {tone.bgr}  # type: ignore[attr-defined]


def drawn(label: str, seed: int, count: int) -> list[str]:
    return [tone.name for tone in islice(draw_tones(label, seed), count)]


@given(st.integers(0, 200), st.integers(0, 99))
def test_every_tone_is_drawn_equally_often(count: int, seed: int) -> None:
    counts = Counter(drawn("melanoma", seed, count))
    each = [counts[tone.name] for tone in palette()]
    assert max(each) - min(each) <= 1


def test_tones_are_drawn_by_the_seed() -> None:
    assert drawn("melanoma", 1, 40) == drawn("melanoma", 1, 40)
    assert drawn("melanoma", 1, 40) != drawn("melanoma", 2, 40)
    assert drawn("melanoma", 1, 40) != drawn("nevus", 1, 40)
