"""Dice and Jaccard at the truth's own resolution."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.evaluation.masks import compare_masks, read_mask
from calibration.judged import Judged, Judgement
from runtime.errors import InputError
from runtime.record import Result
from train.data.table import Sample, Table


def square(size: int, start: int, stop: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[start:stop, start:stop] = 1
    return mask


def save(path: Path, mask: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(".png", mask * 255)[1].tobytes())
    return path


def test_each_image_is_compared_with_its_truth(tmp_path: Path) -> None:
    truth = save(tmp_path / "truth.png", square(64, 16, 48))
    found = square(8, 2, 6)
    bits = np.packbits(found).tobytes()
    made = [
        ("same", truth, Judgement(Result(status="ok"), (8, 8), bits)),
        ("none", truth, Judgement(Result(status="abstained"), None)),
        ("failed", truth, Judgement(Result(status="error"), None)),
        ("torn", truth, Judgement(None, None, problem="torn")),
        ("bare", None, Judgement(Result(status="ok"), (8, 8), bits)),
    ]
    samples = [Sample(name, "d", tmp_path / name, "x", "", mask=mask) for name, mask, _ in made]
    judged = Judged(Table.of("t", samples), ("x", "y"), ("x",), "x", tuple(j for *_, j in made))
    masks = compare_masks(judged)
    np.testing.assert_array_equal(masks.jaccard, [1.0, 0.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(masks.dice, masks.jaccard)
    assert masks.any
    assert not masks.select([2, 4]).any


def test_a_mask_that_is_no_picture_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mask.png"
    file.write_bytes(b"torn")
    with pytest.raises(InputError, match=r"mask\.png cannot be decoded"):
        read_mask(file)
