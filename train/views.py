"""What the networks are trained on: each image's views, made once by the device's own code.

A view is rendered with runtime.lesion and runtime.preprocess, rounded to bytes and kept in one
.npy file that is read as a memory map. Rounding costs half a grey level at most; in return an
epoch costs no decoding, and a run on 2,000 images fits anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.progress import track

from runtime.decode import read_image
from runtime.errors import InputError
from runtime.lesion import Lesion, cut_view, find_lesion
from runtime.preprocess import Image, resample
from runtime.specs import ViewSpec
from train.data.table import Sample
from train.stage import Stage

Bytes = npt.NDArray[np.uint8]


def frames_at(samples: Sequence[Sample], size: tuple[int, int], stage: Stage) -> Bytes:
    """Whole frames at `size`: N × height × width × 3, BGR."""
    return _cached(
        stage,
        (len(samples), *size, 3),
        f"images at {size[1]}×{size[0]}",
        lambda i: _rounded(_frame(samples[i]), size),
    )


def masks_at(samples: Sequence[Sample], size: tuple[int, int], stage: Stage) -> Bytes:
    """The experts' masks at `size`, 0 or 1: a pixel is lesion where at least half of it is."""

    def render(i: int) -> Bytes:
        mask = samples[i].mask
        assert mask is not None
        grey = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise InputError("A mask cannot be read.", got=mask, expected="an 8-bit PNG, 0 and 255")
        return (resample(grey, *size) >= 127.5).astype(np.uint8)

    return _cached(stage, (len(samples), *size), f"masks at {size[1]}×{size[0]}", render)


Picture = Callable[[int, Image, Lesion | None], Image]
"""What purification makes of an image: which one, its frame, and the lesion in it."""


def view_at(
    samples: Sequence[Sample],
    masks: Bytes | None,
    view: ViewSpec,
    size: tuple[int, int],
    stage: Stage,
    purified: Picture | None = None,
) -> Bytes:
    """A view of every image at `size`, cut from the full-resolution frame by predicted masks, if
    there are any; or from what `purified` makes of it."""

    def render(i: int) -> Bytes:
        frame, lesion = frame_of(samples[i], None if masks is None else masks[i])
        picture = frame if purified is None else purified(i, frame, lesion)
        return _rounded(cut_view(picture, view, lesion, frame.shape[:2]), size)

    return _cached(stage, (len(samples), *size, 3), f"crops at {size[1]}×{size[0]}", render)


def made_at(pictures: Bytes, view: ViewSpec, size: tuple[int, int], stage: Stage) -> Bytes:
    """The same view of pictures that are no photographs and lie in no file."""

    def render(i: int) -> Bytes:
        return _rounded(cut_view(pictures[i], view, None), size)

    return _cached(stage, (len(pictures), *size, 3), f"pictures at {size[1]}×{size[0]}", render)


def frame_of(sample: Sample, mask: Bytes | None) -> tuple[Image, Lesion | None]:
    frame = _frame(sample)
    return frame, None if mask is None else find_lesion(mask, *frame.shape[:2])


def _frame(sample: Sample) -> Image:
    return read_image(sample.image).frame


def _rounded(image: Image, size: tuple[int, int]) -> Bytes:
    return np.rint(resample(image, *size)).astype(np.uint8)


def _cached(
    stage: Stage, shape: tuple[int, ...], what: str, render: Callable[[int], Bytes]
) -> Bytes:
    file = stage.folder / "pixels.npy"
    if not stage.done:
        stage.begin()
        pixels: Any = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        for index in track(range(shape[0]), description=f"Rendering {what}"):
            pixels[index] = render(index)
        pixels.flush()
        stage.finish()
    loaded: Bytes = np.load(file, mmap_mode="r")
    return loaded


def save_masks(folder: Path, masks: Bytes) -> None:
    np.save(folder / "masks.npy", np.packbits(masks, axis=2))


def load_masks(folder: Path, width: int) -> Bytes:
    return np.unpackbits(np.load(folder / "masks.npy"), axis=2, count=width)


def batches(pixels: Bytes, rows: Sequence[int], size: int) -> Iterator[Bytes]:
    for start in range(0, len(rows), size):
        yield pixels[np.asarray(rows[start : start + size])]
