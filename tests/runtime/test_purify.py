"""Hair and rulers on phantoms, of which the same picture without them is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.preprocess import resample
from runtime.purify import purify
from tests.bundle_factory import SKIN
from train.phantom.compose import Phantom, make_phantom

SERIES = 5
SOME = range(14)
BOTH = ("hair", "ruler")


def drawn(index: int, size: int | tuple[int, int] = 256, without: tuple[str, ...] = ()) -> Phantom:
    return make_phantom(SERIES, index, size, without)


def lesion_of(phantom: Phantom) -> np.ndarray:
    return (phantom.mask > 0).astype(np.uint8)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


@pytest.mark.parametrize(("kept", "left_out"), [BOTH, BOTH[::-1]])
def test_a_picture_comes_nearer_to_the_one_without(kept: str, left_out: str) -> None:
    before, after = [], []
    for index in SOME:
        picture = drawn(index, without=(left_out,))
        if not picture.artefacts[kept]:
            continue
        bare = drawn(index, without=BOTH)
        purified = purify(picture.image, lesion_of(picture)).picture
        before.append(apart(picture.image, bare.image))
        after.append(apart(purified, bare.image))
    assert len(before) > 4
    assert np.mean(after) < 0.7 * np.mean(before)
    assert np.mean(np.array(after) < np.array(before)) > 0.7


def test_a_picture_without_hair_or_ruler_stays_as_it_is() -> None:
    shares = []
    for index in SOME:
        bare = drawn(index, without=BOTH)
        purified = purify(bare.image, lesion_of(bare))
        inside = bare.mask > 0
        np.testing.assert_array_equal(purified.picture[inside], bare.image[inside])
        shares.append(purified.occlusions.mean())
        assert (purified.picture is bare.image) == purified.unchanged
    assert np.mean(np.array(shares) == 0) >= 0.7
    assert max(shares) < 0.02


def test_only_what_is_marked_is_painted_over_and_most_of_the_hair_is() -> None:
    found = []
    for index in SOME:
        picture = drawn(index, without=("ruler",))
        purified = purify(picture.image, lesion_of(picture))
        beside = purified.occlusions == 0
        np.testing.assert_array_equal(purified.picture[beside], picture.image[beside])
        hair = (picture.hair_mask > 0) & (picture.mask == 0)
        if hair.any():
            found.append(purified.occlusions[hair].mean())
    assert np.mean(found) > 0.5


def test_a_frame_and_its_small_copy_are_treated_alike() -> None:
    frame = drawn(0, (768, 1024))
    assert frame.artefacts["hair"]
    small = np.rint(resample(frame.image, 256, 341)).astype(np.uint8)
    of_frame = purify(frame.image, lesion_of(frame)).occlusions
    of_copy = purify(small, cv2.resize(lesion_of(frame), (341, 256))).occlusions
    both = resample(of_frame, 256, 341) > 0.5
    assert of_copy.mean() > 0.005
    assert (both & (of_copy > 0)).sum() > 0.8 * (both | (of_copy > 0)).sum()


def with_lesion(*hairs: tuple[tuple[int, int], tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Plain skin, a round lesion in its middle, and straight hairs."""
    frame = np.full((256, 256, 3), SKIN, np.uint8)
    lesion = np.zeros((256, 256), np.uint8)
    cv2.circle(lesion, (128, 128), 50, 1, cv2.FILLED)
    frame[lesion > 0] = (60, 90, 140)
    for start, stop in hairs:
        cv2.line(frame, start, stop, (20, 20, 20), 2, cv2.LINE_AA)
    return frame, lesion


def test_a_hair_is_followed_into_the_lesion_and_what_begins_there_is_left() -> None:
    crossing, streak = ((20, 100), (235, 150)), ((128, 90), (128, 115))
    bare, lesion = with_lesion()
    frame, _ = with_lesion(crossing, streak)
    purified = purify(frame, lesion).picture
    with_streak, _ = with_lesion(streak)
    assert apart(purified, with_streak) < 0.3 * apart(frame, with_streak)
    around = np.s_[85:110, 122:135]
    np.testing.assert_array_equal(purified[around], frame[around])
    assert not np.array_equal(frame[around], bare[around])


def test_a_streak_that_leaves_the_lesion_is_left() -> None:
    frame, lesion = with_lesion(((128, 60), (128, 110)))
    assert purify(frame, lesion).unchanged


def test_ticks_of_a_scale_are_taken_and_dots_are_not() -> None:
    frame, lesion = with_lesion()
    ticks, dots = frame.copy(), frame.copy()
    for x in range(20, 240, 14):
        cv2.line(ticks, (x, 230), (x, 242), (15, 15, 15), 2)
        cv2.circle(dots, (x, 235), 2, (15, 15, 15), cv2.FILLED)
    assert apart(purify(ticks, lesion).picture, frame) < 0.1 * apart(ticks, frame)
    assert purify(dots, lesion).unchanged


def test_without_a_mask_only_what_is_deep_is_taken() -> None:
    frame, lesion = with_lesion()
    faint, deep = frame.copy(), frame.copy()
    cv2.line(faint, (10, 20), (240, 40), tuple(level - 22 for level in SKIN), 2, cv2.LINE_AA)
    cv2.line(deep, (10, 20), (240, 40), (20, 20, 20), 2, cv2.LINE_AA)
    assert purify(faint).unchanged
    assert not purify(faint, lesion).unchanged
    assert apart(purify(deep).picture, frame) < 0.2 * apart(deep, frame)


def test_under_a_coat_of_hair_nothing_is_invented() -> None:
    frame, lesion = with_lesion(*(((x, 0), (x + 9, 255)) for x in range(0, 256, 5)))
    assert purify(frame, 0 * lesion).unchanged


def test_the_mask_may_have_any_size() -> None:
    frame, lesion = with_lesion(((20, 100), (235, 150)))
    large, small = (purify(frame, cv2.resize(lesion, (side, side))) for side in (384, 64))
    assert apart(large.picture, small.picture) < 2


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 400), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_any_picture_keeps_its_shape(
    height: int, width: int, turned: bool, has_mask: bool, seed: int
) -> None:
    shape = (width, height) if turned else (height, width)
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (*shape, 3), np.uint8)
    before = frame.copy()
    lesion = rng.integers(0, 2, (16, 16), np.uint8) if has_mask else None
    purified = purify(frame, lesion)
    assert purified.picture.shape == frame.shape
    assert purified.picture.dtype == np.uint8
    assert purified.occlusions.shape == shape
    assert set(np.unique(purified.occlusions)) <= {0, 1}
    np.testing.assert_array_equal(frame, before)
