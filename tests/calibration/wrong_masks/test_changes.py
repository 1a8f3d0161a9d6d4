"""Wrong masks: how far they are from the mask they were made of, whatever its outline."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibration.wrong_masks.changes import (
    BLOB,
    OWN,
    SHARES,
    TITLES,
    blob,
    grown,
    shifted,
    shrunk,
    wrong_masks,
)
from runtime.lesion import Box, clean_mask, find_lesion, nearest


def blotch(height: int, width: int, density: float, seed: int) -> np.ndarray:
    """The largest piece of a random pattern: jagged, with bays, and at the border or not."""
    raw = np.random.default_rng(seed).random((height, width)) < density
    return clean_mask(raw.astype(np.float32), 0.5, fill_holes=True)


SIDES = st.integers(4, 40)
MASKS = st.builds(blotch, SIDES, SIDES, st.floats(0.2, 0.9), st.integers(0, 999)).filter(np.any)
WITHIN = st.sampled_from(SHARES)


def box_of(mask: np.ndarray) -> Box:
    lesion = find_lesion(mask, *mask.shape)
    assert lesion is not None
    return lesion.box


def ellipse(height: int, width: int, y: int, x: int, tall: int, wide: int) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 <= 1
    return inside.astype(np.uint8)


@given(MASKS, WITHIN)
def test_grown_holds_the_mask_and_its_box_is_that_much_larger(
    mask: np.ndarray, share: float
) -> None:
    large = grown(mask, share)
    assert large.shape == mask.shape
    assert np.all(large >= mask)
    one, other = box_of(mask), box_of(large)
    for start, length, first, count, limit in (
        (one.x, one.width, other.x, other.width, mask.shape[1]),
        (one.y, one.height, other.y, other.height, mask.shape[0]),
    ):
        beyond = share * length / 2
        assert abs(first - max(start - beyond, 0)) <= 1
        assert abs(first + count - min(start + length + beyond, limit)) <= 1


@given(MASKS, WITHIN)
def test_shrunk_is_in_the_box_and_that_much_smaller(mask: np.ndarray, share: float) -> None:
    small = shrunk(mask, share)
    assert 0 < small.sum() <= mask.sum()
    one, other = box_of(mask), box_of(small)
    assert one.x <= other.x <= other.x + other.width <= one.x + one.width
    assert one.y <= other.y <= other.y + other.height <= one.y + one.height
    assert abs(other.width - (1 - share) * one.width) <= 1
    assert abs(other.height - (1 - share) * one.height) <= 1


@given(MASKS, WITHIN)
def test_what_was_one_piece_stays_one(mask: np.ndarray, share: float) -> None:
    for changed in (grown(mask, share), shrunk(mask, share)):
        kept = clean_mask(changed.astype(np.float32), 0.5, fill_holes=False)
        np.testing.assert_array_equal(kept, changed)


def test_areas_of_an_ellipse() -> None:
    mask = ellipse(200, 200, 100, 90, 40, 60)
    for share in SHARES:
        for changed, factor in ((grown(mask, share), 1 + share), (shrunk(mask, share), 1 - share)):
            np.testing.assert_allclose(changed.sum() / mask.sum(), factor**2, rtol=0.04)


@given(MASKS)
def test_shifted_is_the_same_mask_a_quarter_of_its_box_away(mask: np.ndarray) -> None:
    moved, box = shifted(mask), box_of(mask)
    down, right = int(0.25 * box.height + 0.5), int(0.25 * box.width + 0.5)
    down = down if box.y < mask.shape[0] - box.y - box.height else -down
    right = right if box.x < mask.shape[1] - box.x - box.width else -right
    wide = np.pad(mask, 20)
    expected = np.roll(wide, (down, right), axis=(0, 1))[20:-20, 20:-20]
    np.testing.assert_array_equal(moved, expected)


def test_a_lesion_with_room_beside_it_is_shifted_as_a_whole() -> None:
    mask = ellipse(100, 120, 30, 80, 20, 20)
    assert shifted(mask).sum() == mask.sum()
    assert box_of(shifted(mask)) == Box(50, 20, 41, 41)


@given(MASKS, st.integers(0, 9))
def test_the_blob_covers_none_of_the_lesion_where_there_is_room(
    mask: np.ndarray, seed: int
) -> None:
    found = blob(mask, np.random.default_rng(seed))
    disc = found.sum()
    assert disc == blob(np.zeros_like(mask), np.random.default_rng(seed)).sum(), "in the frame"
    covered = (found & mask).sum()
    box = box_of(found)
    stamp = box.cut(found)
    rows, columns = mask.shape
    others = (
        (stamp & mask[y : y + box.height, x : x + box.width]).sum()
        for y in range(rows - box.height + 1)
        for x in range(columns - box.width + 1)
    )
    assert covered == min(others)


def test_the_blobs_area_and_that_it_is_not_always_in_one_place() -> None:
    mask = ellipse(192, 256, 96, 128, 40, 50)
    found = [blob(mask, np.random.default_rng(seed)) for seed in range(8)]
    np.testing.assert_allclose(found[0].mean(), BLOB, rtol=0.02)
    assert len({box_of(one) for one in found}) > 4
    np.testing.assert_array_equal(found[3], blob(mask, np.random.default_rng(3)))


def test_all_of_them_by_name() -> None:
    own, other = ellipse(48, 64, 20, 30, 9, 12), ellipse(30, 30, 15, 15, 4, 4)
    drawn = ellipse(96, 128, 50, 30, 30, 20)
    found = wrong_masks(own, drawn, other, np.random.default_rng(0))
    assert [OWN, *found] == list(TITLES)
    assert all(mask.shape == own.shape for mask in found.values())
    np.testing.assert_array_equal(found["drawn"], nearest(drawn, 48, 64))
    np.testing.assert_array_equal(found["other"], nearest(other, 48, 64))
    assert not (found["blob"] & (own | found["drawn"])).any()
    assert (found["whole"].all(), found["nothing"].any()) == (True, False)
    bare = wrong_masks(own, None, other, np.random.default_rng(0))
    assert list(bare) == [name for name in found if name != "drawn"]
