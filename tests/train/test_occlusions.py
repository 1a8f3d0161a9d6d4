"""Hair, rulers and the like on training images: how often, where, and by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.specs import PreprocessSpec
from train.datasets import ViewDataset
from train.occlusions import occlude
from train.recipe_parts.training import Augmentation


def skin(height: int = 72, width: int = 96) -> np.ndarray:
    return np.full((height, width, 3), 190, np.float32)


def test_none_where_none_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(occlude(skin(), 0.0, rng), skin(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (72, 96), (160, 128)])
def test_what_lies_on_skin_covers_some_of_it(shape: tuple[int, int]) -> None:
    before = skin(*shape)
    for seed in range(8):
        after = occlude(before, 1.0, np.random.default_rng(seed))
        assert after.shape == before.shape
        assert after.dtype == np.float32
        assert -1 <= after.min() <= after.max() <= 256
        changed = (np.abs(after - before).max(axis=2) > 5).mean()
        assert 0.01 < changed < 0.9
        np.testing.assert_array_equal(after, occlude(before, 1.0, np.random.default_rng(seed)))


def test_what_a_view_has_made_black_stays_so() -> None:
    image = skin()
    image[:, :40] = 0
    for seed in range(5):
        after = occlude(image, 1.0, np.random.default_rng(seed))
        assert not after[:, :40].any()
        assert np.abs(after - image)[:, 40:].max() > 5


def test_it_is_as_frequent_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    untouched = sum(np.allclose(occlude(skin(), 0.2, rng), skin()) for _ in range(300))
    assert untouched / 300 == pytest.approx(0.8**5, abs=0.08)


def test_training_sees_it_and_judging_does_not() -> None:
    spec = PreprocessSpec(size=(64, 64), mean=(0.5,) * 3, std=(0.5,) * 3)
    pixels = np.full((1, 64, 64, 3), 190, np.uint8)
    shown = ViewDataset(pixels, np.zeros(1, int), [0] * 20, spec, Augmentation(occlude=0.9))
    judged = ViewDataset(pixels, np.zeros(1, int), [0], spec, None)
    assert float(judged[0][0].std()) < 1e-6
    assert sum(float(shown[item][0].std()) > 0.01 for item in range(20)) > 15
