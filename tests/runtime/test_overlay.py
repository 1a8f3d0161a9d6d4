"""The outline lies on the mask's border, a sheet comes apart again, and names are safe."""

from __future__ import annotations

import re
from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.chain import Analysis
from runtime.lesion import Lesion, find_lesion
from runtime.overlay import (
    CAPTION_ROWS,
    CROP_SIDE,
    LONG_SIDE,
    crop_thumbnail,
    draw_overlay,
    outline,
    outlined,
    overlay_name,
    split_overlay,
)
from runtime.record import Result

HEIGHT, WIDTH, CELLS = 480, 640, 96
SKIN = (150, 170, 215)


def ellipse(
    x: float, y: float, a: float, b: float, angle: float = 20, cells: int = CELLS
) -> Lesion:
    mask = np.zeros((cells, cells), dtype=np.uint8)
    centre, axes = (round(x * cells), round(y * cells)), (round(a * cells), round(b * cells))
    cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, cv2.FILLED)
    lesion = find_lesion(mask, HEIGHT, WIDTH)
    assert lesion is not None
    return lesion


def distance_to_border(lesion: Lesion, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """How far every pixel of a picture is from where the mask changes."""
    rows = (2 * np.arange(height) + 1) * lesion.mask.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * lesion.mask.shape[1] // (2 * width)
    large = lesion.mask[np.ix_(rows, columns)]
    border = cv2.morphologyEx(large, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return cv2.distanceTransform(1 - border, cv2.DIST_L2, 5)


def frame(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), SKIN, dtype=np.uint8)


def analysis(lesion: Lesion | None, fields: Mapping[str, object] | None = None) -> Analysis:
    told = {"status": "ok", "score": 0.7, "threshold": 0.4, "refer": True, **(fields or {})}
    return Analysis(Result.model_validate(told), lesion, None)


fractions = st.floats(0.3, 0.7)
axes = st.floats(0.06, 0.28)


@given(fractions, fractions, axes, axes, st.floats(0, 180))
def test_the_outline_lies_on_the_border_of_the_mask(
    x: float, y: float, a: float, b: float, angle: float
) -> None:
    lesion = ellipse(x, y, a, b, angle)
    curves = outline(lesion, HEIGHT, WIDTH)
    assert len(curves) == 1
    points = curves[0][:, 0]
    cell = WIDTH / CELLS
    assert distance_to_border(lesion)[points[:, 1], points[:, 0]].max() <= cell
    drawn = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.fillPoly(drawn, curves, 1)
    inside = cv2.resize(lesion.mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    assert (drawn & inside).sum() >= 0.85 * (drawn | inside).sum()  # and it goes all the way round


def test_a_shifted_outline_would_be_noticed() -> None:
    lesion, other = ellipse(0.5, 0.5, 0.2, 0.2), ellipse(0.55, 0.5, 0.2, 0.2)
    points = outline(other, HEIGHT, WIDTH)[0][:, 0]
    assert distance_to_border(lesion)[points[:, 1], points[:, 0]].max() > WIDTH / CELLS


def test_only_border_and_box_are_drawn_over() -> None:
    lesion = ellipse(0.5, 0.5, 0.2, 0.15)
    changed = (outlined(frame(), lesion) != outlined(frame(), None)).any(axis=2)
    allowed = distance_to_border(lesion) <= WIDTH / CELLS + 3
    box = lesion.box
    edges = np.zeros_like(allowed, dtype=np.uint8)
    corner = (box.x + box.width - 1, box.y + box.height - 1)
    cv2.rectangle(edges, (box.x, box.y), corner, 1, 5)
    assert changed.any()
    assert not (changed & ~allowed & (edges == 0)).any()


@pytest.mark.parametrize("skin", [10, 128, 245])
def test_the_outline_is_seen_on_any_skin(skin: int) -> None:
    lesion = ellipse(0.5, 0.5, 0.2, 0.2)
    plain = np.full((HEIGHT, WIDTH, 3), skin, dtype=np.uint8)
    change = np.abs(outlined(plain, lesion).astype(int) - skin).max(axis=2)
    points = outline(lesion, HEIGHT, WIDTH)[0][:, 0]
    near = [change[y - 3 : y + 4, x - 3 : x + 4].max() for x, y in points]
    assert min(near) >= 100


def test_a_lesion_of_one_cell_is_outlined_too() -> None:
    mask = np.zeros((CELLS, CELLS), dtype=np.uint8)
    mask[40, 50] = 1
    lesion = find_lesion(mask, HEIGHT, WIDTH)
    assert lesion is not None
    assert outline(lesion, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("height", "width"), [(767, 1022), (1500, 2200), (640, 480), (48, 64), (1, 1), (3000, 20)]
)
@pytest.mark.parametrize("found", [True, False])
def test_a_sheet_is_bounded_and_comes_apart_again(height: int, width: int, found: bool) -> None:
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:20, 10:24] = 1
    lesion = find_lesion(mask, height, width) if found else None
    sheet = draw_overlay(frame(height, width), analysis(lesion))
    parts = split_overlay(sheet)
    assert parts is not None
    left, crop = parts
    assert max(left.shape[:2]) <= LONG_SIDE
    assert left.shape[0] == sheet.shape[0] - CAPTION_ROWS
    assert crop.shape[0] == crop.shape[1] == min(left.shape[0], CROP_SIDE)
    assert left.shape[1] + crop.shape[1] == sheet.shape[1]
    if lesion is not None:
        assert np.array_equal(crop, crop_thumbnail(frame(height, width), lesion, crop.shape[0]))


def test_what_is_no_sheet_does_not_come_apart() -> None:
    assert split_overlay(frame(100, 100)) is None
    assert split_overlay(frame(500, 480)) is None


def test_the_frame_itself_is_left_alone() -> None:
    original = frame()
    draw_overlay(original, analysis(ellipse(0.5, 0.5, 0.2, 0.2)))
    assert np.array_equal(original, frame())


def test_the_crop_shows_the_lesion_and_some_skin_without_drawing() -> None:
    lesion = ellipse(0.5, 0.5, 0.1, 0.1)
    picture = frame()
    inside = cv2.resize(lesion.mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    picture[inside == 1] = 0
    crop = crop_thumbnail(picture, lesion, 200)
    assert crop.shape == (200, 200, 3)
    assert (crop[100, 100] == 0).all()
    assert tuple(int(value) for value in crop[3, 3]) == SKIN
    assert not (crop == 255).any()


@pytest.mark.parametrize(
    "other",
    [
        {"refer": False},
        {"status": "abstained", "refer": None},
        {"score": None, "threshold": None, "status": "error", "refer": None},
        {"score": 0.71},
        {"threshold": None, "refer": None},
    ],
)
def test_the_caption_tells_results_apart(other: dict[str, object]) -> None:
    lesion = ellipse(0.5, 0.5, 0.2, 0.2)
    one, two = (draw_overlay(frame(), analysis(lesion, fields)) for fields in ({}, other))
    assert np.array_equal(one[:-CAPTION_ROWS], two[:-CAPTION_ROWS])
    assert not np.array_equal(one[-CAPTION_ROWS:], two[-CAPTION_ROWS:])


anything = st.text(st.characters(exclude_categories=()), max_size=300)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(anything, hashes)
def test_a_name_is_safe_on_every_file_system(source: str, sha256: str) -> None:
    name = overlay_name(source, sha256)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9a-f]{16}\.jpg", name)
    assert len(name) <= 120
    assert name == overlay_name(source, sha256)


@given(st.lists(st.tuples(anything, hashes), min_size=2, max_size=20, unique=True))
def test_no_two_records_share_a_name(records: list[tuple[str, str]]) -> None:
    assert len({overlay_name(*record).lower() for record in records}) == len(records)


def test_names_that_look_alike_are_told_apart() -> None:
    sources = ["a/b.jpg", "a-b.jpg", "a b.jpg", "A/B.jpg", "a/b.png", "a/b", "", "\udcff", "\udcfe"]
    names = {overlay_name(source, "0" * 64).lower() for source in sources}
    assert len(names) == len(sources)
    assert overlay_name("a", "0" * 64) != overlay_name("a", "1" * 64)
    assert overlay_name("clinic/Übung 1.JPG", "0" * 64).startswith("clinic-Ubung-1-")
