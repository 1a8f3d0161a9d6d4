"""Cached views and data sets: a network is trained on what the device will show it."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from runtime.decode import read_image
from runtime.errors import InputError
from runtime.lesion import clean_mask, cut_view, find_lesion
from runtime.preprocess import resample, to_tensor
from runtime.specs import PreprocessSpec, ViewSpec
from train.data.table import Sample
from train.datasets import ViewDataset
from train.phantom.compose import make_phantom
from train.recipe_parts.training import Augmentation
from train.stage import Stage
from train.views import Bytes, batches, frames_at, load_masks, masks_at, save_masks, view_at

SIZE = (40, 48)
STD = (0.2, 0.25, 0.3)
SPEC = PreprocessSpec(size=SIZE, mean=(0.4, 0.5, 0.6), std=STD)
VIEWS = [
    ViewSpec(),
    ViewSpec(area="lesion", margin=0.2),
    ViewSpec(area="lesion", square=True, background="black"),
    ViewSpec(background="black"),
    ViewSpec(area="middle"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, made = tmp_path_factory.mktemp("phantoms"), []
    for index in range(3):
        phantom = make_phantom(2, index, (90, 120))
        files = [folder / f"{index}.png", folder / f"{index}_mask.png"]
        for file, pixels in zip(files, (phantom.image, phantom.mask), strict=True):
            assert cv2.imwrite(str(file), pixels)
        made.append(Sample(str(index), "phantoms", files[0], phantom.label, "", mask=files[1]))
    return made


@pytest.fixture(scope="module")
def masks(samples: list[Sample]) -> Bytes:
    """Masks as a segmenter of 32 × 40 pixels would give them; none for the last image."""
    found = []
    for sample in samples:
        grey = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        found.append(clean_mask(resample(grey, 32, 40) / 255, 0.5, fill_holes=True))
    found[-1][:] = 0
    return np.stack(found)


def stage(folder: Path, **inputs: object) -> Stage:
    return Stage.of(folder / "view", inputs)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_training_sees_what_the_device_sees(
    view: ViewSpec, samples: list[Sample], masks: Bytes, tmp_path: Path
) -> None:
    pixels = view_at(samples, masks, view, SIZE, stage(tmp_path))
    data = ViewDataset(pixels, np.array([2, 0, 1]), [2, 0], SPEC, None)
    assert len(data) == 2
    for item, row in enumerate([2, 0]):
        frame = read_image(samples[row].image).frame
        crop = cut_view(frame, view, find_lesion(masks[row], *frame.shape[:2]))
        tensor, target = data[item]
        half_a_grey_level = 0.5 / 255 / np.array(STD)[:, None, None] + 1e-5
        assert np.all(np.abs(tensor.numpy() - to_tensor(crop, SPEC)[0]) <= half_a_grey_level)
        assert int(target) == [2, 0, 1][row]


def test_a_black_background_is_black(samples: list[Sample], masks: Bytes, tmp_path: Path) -> None:
    size = (90, 120)
    black = view_at(samples, masks, ViewSpec(background="black"), size, stage(tmp_path))
    outside = np.kron(masks[0] == 0, np.ones((1, 3), bool))[:, :120]
    rows = (2 * np.arange(90) + 1) * 32 // 180
    assert 0.05 < outside.mean() < 0.95
    np.testing.assert_array_equal(black[0][outside[rows]], 0)
    assert black[0][~outside[rows]].mean() > 20
    assert black[2].mean() > 20, "without a lesion the whole frame is kept"


def test_masks_and_frames(samples: list[Sample], tmp_path: Path) -> None:
    frames = frames_at(samples, SIZE, Stage.of(tmp_path / "frames", {}))
    truth = masks_at(samples, SIZE, Stage.of(tmp_path / "masks", {}))
    assert (frames.shape, truth.shape) == ((3, *SIZE, 3), (3, *SIZE))
    for row, sample in enumerate(samples):
        grey = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        assert truth[row].mean() == pytest.approx((grey > 127).mean(), abs=0.03)
    assert set(np.unique(truth)) == {0, 1}


def test_a_mask_that_cannot_be_read(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "m.png").write_text("no picture")
    broken = [Sample("a", "d", samples[0].image, "nevus", "", mask=tmp_path / "m.png")]
    with pytest.raises(InputError, match="mask cannot be read") as caught:
        masks_at(broken, SIZE, stage(tmp_path))
    assert "m.png" in str(caught.value.got)


def test_a_finished_rendering_is_kept_and_a_killed_one_redone(
    samples: list[Sample], tmp_path: Path
) -> None:
    first = np.array(frames_at(samples, SIZE, stage(tmp_path)))
    file = tmp_path / "view" / "pixels.npy"
    written = file.stat().st_mtime_ns
    frames_at(samples, SIZE, stage(tmp_path))
    assert file.stat().st_mtime_ns == written
    (tmp_path / "view" / "stage.json").unlink()  # as a kill leaves it: half the pixels, no stamp
    np.save(file, np.zeros_like(first))
    np.testing.assert_array_equal(frames_at(samples, SIZE, stage(tmp_path)), first)
    other = frames_at(samples[:1], (8, 8), stage(tmp_path, size="other"))
    assert other.shape == (1, 8, 8, 3)


def test_packed_masks_come_back(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (4, 6, 13), dtype=np.uint8)
    save_masks(tmp_path, masks)
    np.testing.assert_array_equal(load_masks(tmp_path, 13), masks)


def test_batches_cover_every_row_once() -> None:
    pixels = np.arange(7, dtype=np.uint8)
    parts = [part.tolist() for part in batches(pixels, [6, 0, 3, 2, 5], 2)]
    assert parts == [[6, 0], [3, 2], [5]]


def test_augmented_masks_stay_on_their_images() -> None:
    """The image is the mask itself, so after any warp the two must still agree."""
    masks = np.zeros((1, 40, 40), np.uint8)
    masks[0, 5:18, 9:30] = 1
    pixels = np.repeat(masks[..., None] * np.uint8(255), 3, axis=-1)
    spec = PreprocessSpec(size=(40, 40), mean=(0.0,) * 3, std=(1.0,) * 3)
    how = Augmentation(rotate=180, flip=True, shift=0.2, zoom=0.2)
    data = ViewDataset(pixels, masks, [0], spec, how)
    torch.manual_seed(0)
    for _ in range(20):
        image, mask = data[0]
        assert mask.shape == (1, 40, 40)
        assert mask.dtype == torch.float32
        sure = (image[0] < 1e-3) | (image[0] > 1 - 1e-3)
        assert torch.equal((image[0] > 0.5)[sure], (mask[0] > 0.5)[sure])


def test_augmentation_follows_torchs_seed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 48, 3), dtype=np.uint8)
    data = ViewDataset(pixels, np.array([0]), [0], SPEC, Augmentation(rotate=180, tint=0.2))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(data[0][0])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    torch.manual_seed(1)
    assert not torch.equal(data[0][0], data[0][0]), "an image is changed anew each epoch"


def test_seven_channels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    spec = PreprocessSpec(size=(8, 8), colour="rgb_hsv_l", mean=(0.0,) * 7, std=(1.0,) * 7)
    tensor, _ = ViewDataset(pixels, np.array([0]), [0], spec, None)[0]
    np.testing.assert_allclose(tensor.numpy(), to_tensor(pixels[0], spec)[0], atol=1e-6)


def test_a_worker_gets_the_name_of_the_file_and_not_its_pixels(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.random.default_rng(0).integers(0, 256, (9, *SIZE, 3), "u1"))
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    data = ViewDataset(pixels, np.arange(9), [4, 2], SPEC, None)
    told = pickle.dumps(data)
    assert len(told) < pixels.nbytes / 10
    torch.testing.assert_close(pickle.loads(told)[0], data[0])  # noqa: S301  our own bytes
