"""Resampling against its definition as a matrix, and the colour spaces against the textbook."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.preprocess import axis_weights, resample, to_colour_space, to_tensor
from runtime.specs import PreprocessSpec

SIDES = st.integers(1, 90)
SEEDS = st.integers(0, 2**31)


def by_matrices(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The rule as it is stated: rows times image times columns, each channel for itself."""
    rows = axis_weights(image.shape[0], height).astype(np.float64)
    columns = axis_weights(image.shape[1], width).astype(np.float64)
    along_y = np.tensordot(rows, image.astype(np.float64), (1, 0))
    return np.tensordot(columns, along_y, (1, 1)).swapaxes(0, 1)


@given(SIDES, SIDES, SIDES, SIDES, SEEDS, st.sampled_from([(3,), (), (1,)]), st.booleans())
def test_resample_is_the_matrix_product(
    height: int, width: int, to_height: int, to_width: int, seed: int, tail: tuple, floats: bool
) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, *tail), dtype=np.uint8)
    given_image = image.astype(np.float32) if floats else image
    got = resample(given_image, to_height, to_width)
    assert got.dtype == np.float32
    assert got.shape == (to_height, to_width, *tail)
    np.testing.assert_allclose(got, by_matrices(image, to_height, to_width), atol=2e-2)


@pytest.mark.parametrize("shape", [(700, 500, 3), (129, 64, 3), (65, 1, 3), (1, 300, 3)])
def test_bands_do_not_show(shape: tuple[int, int, int]) -> None:
    """Frames higher than a band of rows, with a last band that is not full."""
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    for size in ((64, 48), (224, 224), (800, 40), (40, 800)):
        np.testing.assert_allclose(resample(image, *size), by_matrices(image, *size), atol=2e-2)


@given(SIDES, SIDES)
def test_weights_of_a_pixel_sum_to_one(source: int, target: int) -> None:
    weights = axis_weights(source, target)
    assert weights.shape == (target, source)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    if target <= source:  # a box average uses every source pixel alike
        np.testing.assert_allclose(weights.sum(axis=0), target / source, atol=1e-5)


def test_what_a_weight_is() -> None:
    third = np.float32(1 / 3)
    np.testing.assert_allclose(axis_weights(3, 2), [[2 * third, third, 0], [0, third, 2 * third]])
    np.testing.assert_allclose(axis_weights(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


def test_the_same_size_is_the_same_picture() -> None:
    image = np.random.default_rng(2).integers(0, 256, (33, 17, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resample(image, 33, 17), image)


@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)))
def test_seven_channels_are_rgb_hsv_and_luminance(bgr: tuple[int, int, int]) -> None:
    pixel = np.array([[bgr]], dtype=np.float32)
    red, green, blue = (value / 255 for value in reversed(bgr))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    got = to_colour_space(pixel, "rgb_hsv_l")[0, 0]
    np.testing.assert_allclose(
        got[[0, 1, 2, 4, 5, 6]], [red, green, blue, saturation, value, luminance], atol=1e-4
    )
    turn = abs(got[3] - hue)
    assert min(turn, 1 - turn) < 1e-3  # hue goes round: 0 and 1 are one colour


def test_a_tensor_is_normalised_channel_by_channel() -> None:
    frame = np.zeros((10, 20, 3), dtype=np.uint8)
    frame[..., 0], frame[..., 2] = 255, 51  # blue full, red a fifth
    spec = PreprocessSpec(size=(4, 6), mean=(0.1, 0.0, 0.5), std=(0.2, 1.0, 0.25))
    tensor = to_tensor(frame, spec)
    assert tensor.shape == (1, 3, 4, 6)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor[0, :, 0, 0], [0.5, 0.0, 2.0], atol=1e-6)


def test_a_black_frame_is_scaled_like_any_other() -> None:
    """Scaling by the frame's own maximum would make dark frames something else."""
    spec = PreprocessSpec(size=(2, 2), mean=(0.0,) * 3, std=(1.0,) * 3)
    dim = np.ones((8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(to_tensor(dim, spec), 1 / 255, rtol=1e-6)
    np.testing.assert_array_equal(to_tensor(dim * 0, spec), 0)
