"""Nearest neighbours against a plain loop, and a copy that is called one."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.synthesis import nearest as module
from train.synthesis.figure import write_figure
from train.synthesis.nearest import nearest, write_table


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(2, 12), st.integers(1, 5), st.integers(0, 2**31))
def test_it_is_the_smallest_mean_square(made: int, images: int, batch: int, seed: int) -> None:
    one, other = noise(made, seed), noise(images, seed + 1)
    rows = np.random.default_rng(seed).permutation(images)[: max(2, images // 2)].tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", batch)
        found = nearest(one, other, rows)
    scaled = other[rows].astype(float) / 255
    errors = np.square(one[:, None] / 255 - scaled).mean(axis=(2, 3, 4))
    np.testing.assert_allclose(found.errors, np.sort(errors, axis=1)[:, 0], rtol=1e-12)
    further = np.sort(errors, axis=1)[:, 1 : 1 + module.NEXT].mean(axis=1)
    np.testing.assert_allclose(found.next_errors, further, rtol=1e-12)
    assert set(found.rows.tolist()) <= set(rows), "no image that was not asked about"


def test_a_copy_is_called_one_though_it_is_changed_a_little() -> None:
    images = noise(40, 0)
    made = images[[7, 30, 12]].copy()
    made[2, 0, 0, 0] ^= 1
    found = nearest(made, images, range(40))
    assert found.rows.tolist() == [7, 30, 12]
    assert found.exact.tolist() == [True, True, False]
    assert found.copies.all()
    assert found.errors[2] == pytest.approx(1 / 255**2 / 90)
    held = nearest(made, images, [row for row in range(40) if row != 7])
    assert not held.copies[0], "an image that the generator was not shown cannot be copied"


def test_a_copy_of_a_lesion_that_is_there_twice_is_one_too() -> None:
    images = noise(40, 0)
    images[8] = images[7] ^ 1
    made = images[[7]] ^ 2
    assert nearest(made, images, range(40)).copies.all()


def test_a_smooth_picture_near_to_everything_is_no_copy() -> None:
    images = np.clip(noise(40, 0) // 8 + 112, 0, 255).astype(np.uint8)
    made = np.full((1, 6, 5, 3), 128, np.uint8)
    found = nearest(made, images, range(40))
    assert found.errors[0] < 0.005
    assert not found.copies[0]


def test_table_and_figure(tmp_path: Path) -> None:
    images, made = noise(20, 0), noise(5, 1)
    found = nearest(made, images, range(20))
    classes = ["melanoma"] * 4 + ["nevus"]
    ids = [f"image{n}" for n in range(20)]
    write_table(tmp_path / "nearest.csv", found, classes, ids, ["nevus"] * 20)
    with (tmp_path / "nearest.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert [row["class"] for row in rows] == classes
    assert [row["nearest"] for row in rows] == [f"image{row}" for row in found.rows]
    assert [float(row["mse"]) for row in rows] == pytest.approx(found.errors, abs=1e-6)
    further = [float(row["mse to the next"]) for row in rows]
    assert further == pytest.approx(found.next_errors, abs=1e-6)
    write_figure(tmp_path / "nearest.png", found, classes, made, images)
    drawn = cv2.imread(str(tmp_path / "nearest.png"))
    assert drawn is not None
    assert drawn.std() > 20, "not a blank page"
