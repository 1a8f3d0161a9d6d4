"""Mask, box and crop against slow definitions of what they should be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.lesion import (
    Box,
    Lesion,
    clean_mask,
    cut_view,
    find_lesion,
    nearest,
    next_largest,
    view_box,
)
from runtime.preprocess import resample
from runtime.specs import ViewSpec

SIDE = st.integers(1, 12)
FRAME = st.integers(1, 40)


@st.composite
def masks(draw: st.DrawFn, empty: bool = True) -> np.ndarray:
    height, width = draw(SIDE), draw(SIDE)
    share = draw(st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95]))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    mask = (random.random((height, width)) < share).astype(np.uint8)
    if not empty:
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = 1
    return mask


@st.composite
def lesions(draw: st.DrawFn) -> tuple[Lesion, int, int]:
    height, width = draw(FRAME), draw(FRAME)
    lesion = find_lesion(draw(masks(empty=False)), height, width)
    assert lesion is not None
    return lesion, height, width


VIEWS = st.builds(
    ViewSpec,
    area=st.sampled_from(["frame", "middle", "lesion"]),
    margin=st.sampled_from([0.0, 0.1, 0.25, 2.0]),
    square=st.booleans(),
    background=st.sampled_from(["keep", "black"]),
)


def flood(mask: np.ndarray, start: tuple[int, int], value: int, diagonal: bool) -> set:
    """Every cell of `value` that can be walked to from `start`."""
    seen, pending = {start}, [start]
    while pending:
        row, column = pending.pop()
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                cell = (row + down, column + across)
                straight = down == 0 or across == 0
                if (
                    (diagonal or straight)
                    and cell not in seen
                    and 0 <= cell[0] < mask.shape[0]
                    and 0 <= cell[1] < mask.shape[1]
                    and mask[cell] == value
                ):
                    seen.add(cell)
                    pending.append(cell)
    return seen


def slow_clean(mask: np.ndarray, fill: bool) -> np.ndarray:
    best: set = set()
    left = {tuple(cell) for cell in np.argwhere(mask)}
    for cell in sorted(left):  # in reading order, so that the first of a size is kept
        if cell in left:
            component = flood(mask, cell, 1, diagonal=True)
            left -= component
            best = component if len(component) > len(best) else best
    kept = np.zeros_like(mask)
    for cell in best:
        kept[cell] = 1
    if fill:
        padded = np.pad(kept, 1)
        outside = flood(padded, (0, 0), 0, diagonal=False)
        for cell in np.ndindex(kept.shape):
            kept[cell] = (cell[0] + 1, cell[1] + 1) not in outside
    return kept


@given(masks(), st.booleans())
def test_cleaning_is_flood_filling(mask: np.ndarray, fill: bool) -> None:
    got = clean_mask(mask.astype(np.float32), 0.5, fill)
    np.testing.assert_array_equal(got, slow_clean(mask, fill))


def test_a_probability_at_the_threshold_is_lesion() -> None:
    probabilities = np.array([[0.49, 0.5]], dtype=np.float32)
    np.testing.assert_array_equal(clean_mask(probabilities, 0.5, True), [[0, 1]])


@given(masks(), FRAME, FRAME)
def test_the_box_is_every_pixel_that_a_cell_touches(
    mask: np.ndarray, height: int, width: int
) -> None:
    lesion = find_lesion(mask, height, width)
    if not mask.any():
        assert lesion is None
        return
    assert lesion is not None

    def touched(cells: np.ndarray, count: int, pixels: int) -> list[int]:
        size = Fraction(pixels, count)
        spans = [(cell * size, (cell + 1) * size) for cell in cells.tolist()]
        first, last = min(low for low, _ in spans), max(high for _, high in spans)
        return [pixel for pixel in range(pixels) if pixel < last and pixel + 1 > first]

    rows = touched(np.flatnonzero(mask.any(axis=1)), mask.shape[0], height)
    columns = touched(np.flatnonzero(mask.any(axis=0)), mask.shape[1], width)
    assert lesion.box == Box(columns[0], rows[0], len(columns), len(rows))
    assert lesion.area_fraction == pytest.approx(mask.sum() / mask.size)
    border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    assert lesion.touches_border == border


@given(lesions(), VIEWS)
def test_a_view_stays_in_the_frame_and_holds_the_lesion(
    found: tuple[Lesion, int, int], view: ViewSpec
) -> None:
    lesion, height, width = found
    box = view_box(view, lesion, height, width)
    assert 0 <= box.x <= box.x + box.width <= width
    assert 0 <= box.y <= box.y + box.height <= height
    inner = lesion.box
    if view.area == "middle":  # wherever the lesion is
        return
    assert box.x <= inner.x
    assert box.y <= inner.y
    assert box.x + box.width >= inner.x + inner.width
    assert box.y + box.height >= inner.y + inner.height


@given(lesions(), st.sampled_from([0.0, 0.1, 2.0]))
def test_a_square_view_is_square_as_far_as_the_frame_allows(
    found: tuple[Lesion, int, int], margin: float
) -> None:
    lesion, height, width = found
    plain = view_box(ViewSpec(area="lesion", margin=margin), lesion, height, width)
    square = view_box(ViewSpec(area="lesion", margin=margin, square=True), lesion, height, width)
    side = max(plain.width, plain.height)
    assert (square.width, square.height) == (min(side, width), min(side, height))


@pytest.mark.parametrize(
    ("square", "expected"),
    [(False, Box(8, 9, 24, 12)), (True, Box(8, 3, 24, 24))],
)
def test_margin_and_square_in_numbers(square: bool, expected: Box) -> None:
    lesion = Lesion(np.ones((4, 4), np.uint8), Box(10, 10, 20, 10), 0.1, False)
    view = ViewSpec(area="lesion", margin=0.1, square=square)
    assert view_box(view, lesion, 100, 100) == expected


@given(lesions(), VIEWS, FRAME, FRAME)
def test_a_picture_of_another_size_is_cut_where_the_frame_would_be(
    found: tuple[Lesion, int, int], view: ViewSpec, rows: int, columns: int
) -> None:
    lesion, height, width = found
    box = view_box(view, lesion, height, width)
    numbered = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns, 1)
    plain = view.model_copy(update={"background": "keep"})
    part = cut_view(numbered, plain, lesion, (height, width))

    def touched(start: int, length: int, pixels: int, samples: int) -> list[int]:
        size = Fraction(samples, pixels)
        low, high = start * size, (start + length) * size
        return [sample for sample in range(samples) if sample < high and sample + 1 > low]

    down = touched(box.y, box.height, height, rows)
    along = touched(box.x, box.width, width, columns)
    np.testing.assert_array_equal(part, numbered[np.ix_(down, along)])


def test_without_a_lesion_a_view_is_the_whole_frame() -> None:
    view = ViewSpec(area="lesion", margin=0.5, square=True, background="black")
    frame = np.full((7, 9, 3), 200, dtype=np.uint8)
    assert view_box(view, None, 7, 9) == Box(0, 0, 9, 7)
    np.testing.assert_array_equal(cut_view(frame, view, None), frame)


@given(FRAME, st.integers(8, 4000))
def test_the_middle_is_three_quarters_of_the_width(height: int, width: int) -> None:
    box = view_box(ViewSpec(area="middle"), None, height, width)
    assert (box.y, box.height) == (0, height)
    assert box.x == width - (box.x + box.width), "as far from either side"
    assert 0 <= box.width - width * 3 / 4 < 2


def as_goel(frame: np.ndarray) -> np.ndarray:
    """Resized to 640 × 480, the sides cut to 480, then resized: three steps where ours is one."""
    return resample(resample(frame, 480, 640)[:, 80:-80], 60, 60)


@given(st.integers(1, 800), st.integers(1, 800), st.integers(0, 2**31))
def test_the_middle_is_what_goel_et_al_cut(rows: int, columns: int, seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    frame = np.rint(resample(coarse, 100 + rows, 100 + columns)).astype(np.uint8)
    ours = resample(cut_view(frame, ViewSpec(area="middle"), None), 60, 60)
    assert abs(ours - as_goel(frame)).mean() < 2.5
    assert abs(resample(frame, 60, 60) - as_goel(frame)).mean() > 5


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_middle_is_theirs_exactly_where_theirs_needs_no_rounding(scale: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480 * scale, 640 * scale, 3), dtype=np.uint8)
    ours = resample(cut_view(frame, ViewSpec(area="middle"), None), 60, 60)
    np.testing.assert_allclose(ours, as_goel(frame), atol=1e-3)


def holder(pixel: int, pixels: int, samples: int) -> int:
    """The sample that holds the pixel's centre, which lies at half a pixel."""
    return next(
        sample
        for sample in range(samples)
        if sample * pixels * 2 <= (2 * pixel + 1) * samples < (sample + 1) * pixels * 2
    )


@given(lesions(), VIEWS)
def test_a_black_background_takes_the_nearest_mask_sample(
    found: tuple[Lesion, int, int], view: ViewSpec
) -> None:
    lesion, height, width = found
    frame = np.random.default_rng(0).integers(1, 256, (height, width, 3), dtype=np.uint8)
    box = view_box(view, lesion, height, width)
    expected = frame[box.y : box.y + box.height, box.x : box.x + box.width].copy()
    if view.background == "black":
        rows, columns = lesion.mask.shape
        for y in range(box.height):
            for x in range(box.width):
                if (
                    lesion.mask[holder(box.y + y, height, rows), holder(box.x + x, width, columns)]
                    == 0
                ):
                    expected[y, x] = 0
    np.testing.assert_array_equal(cut_view(frame, view, lesion), expected)


def test_a_small_mask_is_enlarged_by_its_nearest_sample() -> None:
    small = np.array([[1, 0], [0, 1]], np.uint8)
    large = nearest(small, 6, 4)
    np.testing.assert_array_equal(large, np.kron(small, np.ones((3, 2), np.uint8)))


def test_the_next_largest_is_told_as_a_share() -> None:
    raw = np.zeros((12, 12), np.float32)
    raw[0:4, 0:4] = 1  # 16 cells, one of them a hole that is filled
    raw[1, 1] = 0
    raw[6:8, 6:10] = 1  # 8
    raw[10, 10] = 1  # 1
    mask = clean_mask(raw, 0.5, fill_holes=True)
    assert next_largest(raw, 0.5, mask) == 8 / 16
    assert next_largest(raw * (mask > 0), 0.5, mask) == 0
