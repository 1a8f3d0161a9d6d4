"""The kernels on a real GPU against NumPy and OpenCV: what the CPU showed, shown where they run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from runtime.device.arena import Mirrored
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.device.layouts import BOX, FRAME, LESION, TARGET, Format
from runtime.device.pixels import Pixels
from runtime.device.targets import Target, target_table
from runtime.lesion import Box, Lesion, cut_view, view_box
from runtime.preprocess import to_tensor
from runtime.specs import CHANNELS, ViewSpec
from tests.gpu.lesion_launch import HEIGHT, WIDTH, LesionLaunch
from tests.gpu.on_gpu import a_gpu
from tests.runtime.device.test_input_kernels import GREY, noise, spec_of
from tests.runtime.device.test_lesion_kernels import (
    SHAPES,
    expected_lesion,
    random_mask,
    same,
)

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda() -> Iterator[Cuda]:
    found = a_gpu()
    with found.current():
        yield found


@pytest.fixture(scope="module")
def kernels(cuda: Cuda) -> Kernels:
    return Kernels(cuda)


def lesion_on_gpu(cuda: Cuda, kernels: Kernels, mask: np.ndarray, fill: bool) -> Lesion | None:
    launch = LesionLaunch(cuda, kernels, mask, fill)
    try:
        launch.issue()
        return launch.lesion()
    finally:
        launch.free()


@pytest.mark.parametrize("name", SHAPES)
def test_hard_lesions(cuda: Cuda, kernels: Kernels, name: str) -> None:
    for fill in (True, False):
        got = lesion_on_gpu(cuda, kernels, SHAPES[name], fill)
        same(got, expected_lesion(SHAPES[name], (HEIGHT, WIDTH), 0.5, fill))


def test_hundreds_of_lesions(cuda: Cuda, kernels: Kernels) -> None:
    random = np.random.default_rng(0)
    for number in range(300):
        height, width = (int(side) for side in random.integers(1, 300, 2))
        mask = random_mask(random, height, width)
        got = lesion_on_gpu(cuda, kernels, mask, bool(number % 2))
        same(got, expected_lesion(mask, (HEIGHT, WIDTH), 0.5, bool(number % 2)))


def input_on_gpu(
    cuda: Cuda, kernels: Kernels, frame: np.ndarray, target: Target, lesion: Lesion
) -> np.ndarray:
    spec, mask = target.preprocess, np.ascontiguousarray(lesion.mask)
    shape = (CHANNELS[spec.colour], *spec.size)
    given, made, pixels = Mirrored(cuda), Mirrored(cuda), Pixels(cuda)
    for name, size in (
        ("frame", FRAME.itemsize), ("target", TARGET.itemsize), ("box", BOX.itemsize),
        ("lesion", LESION.itemsize), ("mask", mask.nbytes),
    ):  # fmt: skip
        given.reserve(name, size)
    made.reserve("out", target.size)
    given.allocate()
    made.allocate()
    stream = cuda.stream()
    pixels.take(frame, Format.BGR, given.host("frame", FRAME, 1)[0], stream)
    given.host("target", TARGET, 1)[...] = target_table([target], [made.address("out")])
    box = view_box(target.view, lesion, *frame.shape[:2])
    given.host("box", BOX, 1)[...] = (box.x, box.y, box.width, box.height)
    given.host("lesion", LESION, 1)["found"] = 1
    given.host("mask", np.uint8, mask.shape)[...] = mask
    given.upload(stream)
    names = ("frame", "target", "box", "lesion", "mask")
    places = [given.address(name) for name in names]
    places.insert(1, 0)  # no picture beside the frame
    kernels("fill_targets", stream, *places, *mask.shape, threads=target.pixels)
    made.download(stream)
    cuda.synchronize(stream)
    out = made.host("out", np.float16 if target.half else np.float32, shape).copy()
    for part in (given, made, pixels):
        part.free()
    return np.asarray(out, np.float32)


@pytest.mark.parametrize("half", [False, True])
def test_inputs(cuda: Cuda, kernels: Kernels, half: bool) -> None:
    random = np.random.default_rng(1)
    for number in range(60):
        height, width, rows, columns = (int(side) for side in random.integers(1, 700, 4))
        x, y = int(random.integers(width)), int(random.integers(height))
        box = Box(
            x, y, int(random.integers(1, width - x + 1)), int(random.integers(1, height - y + 1))
        )
        lesion = Lesion((random.random((31, 47)) < 0.5).astype(np.uint8), box, 0.5, False)
        view = ViewSpec(
            area="lesion", margin=0.15, square=bool(number % 2),
            background="black" if number % 3 else "keep",
        )  # fmt: skip
        frame, spec = noise(number + 1, height, width), spec_of(rows, columns)
        got = input_on_gpu(cuda, kernels, frame, Target(view, spec, half), lesion)
        expected = to_tensor(cut_view(frame, view, lesion), spec)[0]
        assert abs(got - expected).max() * 0.25 < (1 if half else 0.1) * GREY
