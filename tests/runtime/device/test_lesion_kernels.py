"""The lesion's kernels against OpenCV's components: exactly the same, over thousands of masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.bundle import Segment
from runtime.device.layouts import BOX, FRAME, TARGET
from runtime.device.mask import MaskWork
from runtime.lesion import Box, Lesion, clean_mask, find_lesion, next_largest, view_box
from runtime.specs import ViewSpec
from tests.runtime.device.here import Here, Room


def found_lesions(
    masks: np.ndarray,
    frames: list[tuple[int, int]],
    threshold: float,
    fill: bool,
    views: list[ViewSpec],
    seed: int = 1,
    workers: int = 1,
) -> tuple[list[Lesion | None], np.ndarray]:
    """Each mask's lesion, and the boxes of every view of it."""
    count, height, width = masks.shape
    segment = Segment(model="segmenter", threshold=threshold, fill_holes=fill)
    work, results = Room(), Room()
    mask = MaskWork(segment, (1, 1, height, width), count, len(views))
    mask.reserve(work, results)  # type: ignore[arg-type]
    headers = np.array([(0, *shape, 0, 0) for shape in frames], FRAME)
    rows = np.zeros(max(len(views), 1), TARGET)
    for row, view in zip(rows, views, strict=False):
        row["margin"], row["square"] = view.margin, view.square
    masks = np.ascontiguousarray(masks, np.float32)
    mask.issue(
        Here(seed, workers), None, masks.ctypes.data, headers.ctypes.data, rows.ctypes.data,
        work, results,
    )  # type: ignore[arg-type]  # fmt: skip
    boxes = work.host("boxes", BOX, -1)[: count * len(views)].reshape(count, len(views))
    return [mask.lesion(results, number) for number in range(count)], boxes  # type: ignore[arg-type]


def expected_lesion(
    mask: np.ndarray, frame: tuple[int, int], threshold: float, fill: bool
) -> Lesion | None:
    cleaned = clean_mask(mask, threshold, fill)
    return find_lesion(cleaned, *frame, next_largest(mask, threshold, cleaned))


def same(got: Lesion | None, expected: Lesion | None) -> None:
    assert (got is None) == (expected is None)
    if got is None or expected is None:
        return
    np.testing.assert_array_equal(got.mask, expected.mask)
    assert (got.box, got.touches_border) == (expected.box, expected.touches_border)
    assert got.area_fraction == expected.area_fraction
    assert got.next_largest == expected.next_largest


def random_mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise of every density, and blobs: with holes, corners that touch, and ties."""
    mask = random.random((height, width), dtype=np.float32)
    kind = random.integers(4)
    if kind == 1:
        mask = cv2.GaussianBlur(mask, (0, 0), float(random.uniform(0.5, 3)))
        low, high = float(mask.min()), float(mask.max())
        mask = (mask - low) / max(high - low, 1e-6)
    elif kind == 2:
        mask = mask.round()
    elif kind == 3:
        mask = (mask < random.choice([0.05, 0.41, 0.59, 0.95])).astype(np.float32)
    return np.ascontiguousarray(mask, np.float32)


def test_lesions_of_thousands_of_masks() -> None:
    random = np.random.default_rng(0)
    for number in range(700):
        height, width = (int(side) for side in random.integers(1, 48, 2))
        count = int(random.integers(1, 5))
        masks = np.stack([random_mask(random, height, width) for _ in range(count)])
        frames = [tuple(int(s) for s in random.integers(1, 3000, 2)) for _ in range(count)]
        threshold, fill = float(random.choice([0.0, 0.3, 0.5, 0.9, 1.0])), bool(number % 2)
        margin = float(random.choice([0, 0.1, 0.15, 0.35, 1 / 3, 2.0]))
        views = [
            ViewSpec(area="lesion", margin=margin, square=bool(random.integers(2)))
            for _ in range(int(random.integers(0, 4)))
        ]
        got, boxes = found_lesions(masks, frames, threshold, fill, views, seed=number)
        for one, mask, frame, row in zip(got, masks, frames, boxes, strict=True):
            expected = expected_lesion(mask, frame, threshold, fill)
            same(one, expected)
            for view, box in zip(views, row, strict=True):
                assert view_box(view, expected, *frame) == Box(*(int(n) for n in box))


def comb(side: int) -> np.ndarray:
    """Teeth that only the last row joins: the longest ways to a root."""
    mask = np.zeros((side, side), np.float32)
    mask[:, ::2] = 1
    mask[-1] = 1
    return mask


def spiral(side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.float32)
    top, left, bottom, right = 0, 0, side - 1, side - 1
    while top <= bottom and left <= right:
        mask[top, left : right + 1] = 1
        mask[top : bottom + 1, right] = 1
        mask[bottom, left : right + 1] = 1
        mask[top + 2 : bottom + 1, left] = 1
        if top + 2 <= bottom:
            mask[top + 2, left : left + 2] = 1
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return mask


def checkers(side: int) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return ((rows + columns) % 2).astype(np.float32)


SHAPES = {
    "comb": comb(64),
    "spiral": spiral(61),
    "checkers": checkers(50),
    "full": np.ones((33, 65), np.float32),
    "empty": np.zeros((9, 70), np.float32),
    "ring": np.pad(np.zeros((20, 20), np.float32), 1, constant_values=1),
    "line": np.ones((1, 200), np.float32),
    "noise": np.random.default_rng(1).random((256, 256), dtype=np.float32),
    "cell": np.ones((1, 1), np.float32),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("workers", [1, 4])
def test_lesions_that_are_hard_to_follow(name: str, workers: int) -> None:
    mask = SHAPES[name]
    for seed in range(4):
        for fill in (True, False):
            ((got,), _) = found_lesions(
                mask[None], [(480, 640)], 0.5, fill, [], seed=seed, workers=workers
            )
            same(got, expected_lesion(mask, (480, 640), 0.5, fill))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mask_that_is_no_number_is_told(value: float) -> None:
    masks = np.zeros((2, 8, 8), np.float32)
    masks[1, 3, 3] = value
    with pytest.raises(Exception, match="NaN or infinity"):
        found_lesions(masks, [(8, 8)] * 2, 0.5, True, [])
