"""Random changes to training images: nothing where none is asked for, masks along with images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.augment import Pixels, random_warp, recolour, warp
from train.recipe_parts.training import Augmentation

NOTHING = Augmentation()
EVERYTHING = Augmentation(
    rotate=180, flip=True, shift=0.1, zoom=0.2, shear=20,
    brightness=0.2, contrast=0.3, saturation=0.3, tint=0.1,
)  # fmt: skip
SEEDS = st.integers(0, 2**32)

AUGMENTATIONS = st.builds(
    Augmentation,
    rotate=st.floats(0, 180),
    flip=st.booleans(),
    shift=st.floats(0, 1),
    zoom=st.floats(0, 0.9),
    shear=st.floats(0, 40),
    brightness=st.floats(0, 1),
    contrast=st.floats(0, 1),
    saturation=st.floats(0, 1),
    tint=st.floats(0, 1),
)


def noise(seed: int = 0, height: int = 24, width: int = 31) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blob(seed: int) -> Pixels:
    """A mask of a few rectangles."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 30), np.uint8)
    for _ in range(3):
        y, x, height, width = rng.integers(0, 25, 4)
        mask[y : y + height, x : x + width] = 1
    return mask


@given(SEEDS)
def test_nothing_asked_nothing_changed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(seed % 97)
    warped = warp(image, random_warp(image.shape[:2], NOTHING, rng))
    np.testing.assert_array_equal(warped, image)
    np.testing.assert_allclose(recolour(image, NOTHING, rng), image, atol=1e-3)


@given(SEEDS, AUGMENTATIONS)
def test_a_mask_goes_where_its_image_goes(seed: int, how: Augmentation) -> None:
    mask = blob(seed)
    matrix = random_warp((40, 30), how, np.random.default_rng(seed))
    picture = warp(np.dstack([mask * 255] * 3), matrix)[..., 0]
    sure = (picture == 0) | (picture == 255)  # off the edges, where a pixel is a mixture
    np.testing.assert_array_equal(warp(mask, matrix, nearest=True)[sure], picture[sure] // 255)
    assert set(np.unique(warp(mask, matrix, nearest=True))) <= {0, 1}


@given(SEEDS, AUGMENTATIONS)
def test_colours_stay_in_range(seed: int, how: Augmentation) -> None:
    coloured = recolour(noise(seed % 97), how, np.random.default_rng(seed))
    assert coloured.dtype == np.float32
    assert 0 <= coloured.min() <= coloured.max() <= 255


@given(SEEDS)
def test_a_seed_gives_one_change_and_another_seed_another(seed: int) -> None:
    image = noise()
    one, same, other = (
        recolour(
            warp(image, random_warp(image.shape[:2], EVERYTHING, rng)), EVERYTHING, rng
        ).tobytes()
        for rng in map(np.random.default_rng, (seed, seed, seed + 1))
    )
    assert one == same
    assert one != other


def test_flips_are_the_four_there_are() -> None:
    image = noise()
    how = Augmentation(flip=True)
    expected = {image[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
    rng = np.random.default_rng(0)
    got = {warp(image, random_warp(image.shape[:2], how, rng)).tobytes() for _ in range(60)}
    assert got == expected


@given(SEEDS, st.floats(0, 180), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_warp_stays_within_its_limits(
    seed: int, rotate: float, shift: float, zoom: float
) -> None:
    how = Augmentation(rotate=rotate, shift=shift, zoom=zoom)
    matrix = random_warp((40, 30), how, np.random.default_rng(seed)).astype(float)
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    assert 1 - zoom - 1e-3 <= scale <= 1 + zoom + 1e-3
    angle = np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))
    assert abs(angle) <= rotate + 1e-2
    centre = np.array([14.5, 19.5])
    moved = matrix @ [*centre, 1] - centre
    assert np.all(np.abs(moved) <= np.array([30, 40]) * shift + 1e-3)


@given(SEEDS, st.floats(1, 60))
def test_a_shear_leaves_rows_and_areas_alone(seed: int, shear: float) -> None:
    how = Augmentation(shear=shear)
    matrix = random_warp((40, 30), how, np.random.default_rng(seed)).astype(float)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1, abs=1e-5)
    assert matrix[:, 0].tolist() == [1, 0]
    assert abs(matrix[0, 1]) <= np.tan(np.deg2rad(shear)) + 1e-6
    assert matrix[0, 1] != 0
    np.testing.assert_allclose(matrix @ [14.5, 19.5, 1], [14.5, 19.5], atol=1e-4)


def test_no_black_corners() -> None:
    image = np.full((30, 30, 3), 200, np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert warp(image, random_warp((30, 30), EVERYTHING, rng)).min() == 200


@pytest.mark.parametrize(
    ("field", "unchanged"),
    [
        ("saturation", lambda image: image.mean(axis=2)),  # a pixel keeps its brightness
        ("contrast", lambda image: image.mean(axis=(0, 1))),  # the picture keeps its mean
    ],
)
def test_what_a_colour_change_leaves_alone(field: str, unchanged: object) -> None:
    assert callable(unchanged)
    image = np.random.default_rng(0).integers(100, 156, (20, 20, 3), dtype=np.uint8)
    how = Augmentation.model_validate({field: 0.5})
    changed = recolour(image, how, np.random.default_rng(3))
    np.testing.assert_allclose(unchanged(changed), unchanged(image.astype(float)), atol=0.01)
    assert np.abs(changed - image).max() > 1


@given(SEEDS)
def test_a_crop_only_comes_nearer(seed: int) -> None:
    matrix = random_warp((50, 60), Augmentation(crop=0.2), np.random.default_rng(seed))
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))
    assert 1 <= scale <= 1 / 0.8 + 1e-6
    middle = np.array([29.5, 24.5, 1.0])
    np.testing.assert_allclose(matrix @ middle, middle[:2], atol=1e-4)


def test_a_mirror_is_left_and_right_alone() -> None:
    seen = set()
    for seed in range(40):
        matrix = random_warp((50, 60), Augmentation(mirror=True), np.random.default_rng(seed))
        seen.add(tuple(np.sign(matrix[:, :2].diagonal()).astype(int)))
    assert seen == {(1, 1), (-1, 1)}
