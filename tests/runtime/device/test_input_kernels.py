"""What the kernels compute, against the definitions in NumPy and OpenCV: thousands of pictures.

The sources are those that a GPU runs, compiled for the CPU; threads come in orders made from a
seed, or from several workers at once.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.decision import softmax
from runtime.device.layouts import (
    BOX,
    FRAME,
    LESION,
    MOST_CHANNELS,
    SAID,
    STRIP,
    STRUCTURES,
    Format,
)
from runtime.device.targets import Target, target_table
from runtime.lesion import (
    Box,
    Lesion,
    clean_mask,
    cut_view,
    find_lesion,
    nearest,
    view_box,
)
from runtime.preprocess import to_tensor
from runtime.specs import CHANNELS, PreprocessSpec, ViewSpec
from tests.runtime.device.here import Here
from tests.runtime.device.host_kernels import host_library

GREY = 1 / 255
SIDES, SEEDS = st.integers(1, 80), st.integers(1, 2**31)
COLOURS = st.sampled_from(["rgb", "rgb_hsv_l"])


def spec_of(height: int, width: int, colour: str = "rgb") -> PreprocessSpec:
    count = CHANNELS[colour]
    return PreprocessSpec(
        size=(height, width), colour=colour, mean=(0.4,) * count, std=(0.25,) * count
    )


def header(pixels: np.ndarray, format: Format = Format.BGR) -> np.ndarray:
    rows = pixels.shape[0] * 2 // 3 if format is Format.NV12 else pixels.shape[0]
    pitch = pixels.size // pixels.shape[0]
    return np.array([(pixels.ctypes.data, rows, pixels.shape[1], pitch, format)], FRAME)


def picture_header(painted: np.ndarray) -> np.ndarray:
    _, rows, columns = painted.shape
    return np.array([(painted.ctypes.data, rows, columns, 4 * columns, Format.PLANAR)], FRAME)


def table(targets: list[Target], outs: list[np.ndarray]) -> np.ndarray:
    return target_table(targets, [int(out.ctypes.data) for out in outs])


def filled(
    pixels: np.ndarray,
    view: ViewSpec,
    spec: PreprocessSpec,
    lesion: Lesion | None = None,
    *,
    format: Format = Format.BGR,
    half: bool = False,
    seed: int = 1,
    painted: np.ndarray | None = None,
) -> np.ndarray:
    """One target of one frame, as the kernel makes it; `painted` is what a purifier made of it."""
    height, width = header(pixels, format)[0]["height"], pixels.shape[1]
    kind = np.float16 if half else np.float32
    out = np.full((1, CHANNELS[spec.colour], *spec.size), np.nan, kind)
    box = view_box(view, lesion, int(height), width)
    boxes = np.array([(box.x, box.y, box.width, box.height)], BOX)
    lesions = np.zeros(1, LESION)
    mask = np.zeros((1, 1), np.uint8)
    if lesion is not None:
        lesions["found"], mask = 1, np.ascontiguousarray(lesion.mask)
    rows = table([Target(view, spec, half)], [out])
    frames = header(pixels, format)
    pictures = header(pixels) if painted is None else picture_header(painted)
    places = (array.ctypes.data for array in (frames, pictures, rows, boxes, lesions, mask))
    Here(seed)("fill_targets", None, *places, *mask.shape, threads=spec.size[0] * spec.size[1])
    return out


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_host_and_kernels_mean_the_same_by_a_structure() -> None:
    place = host_library().place_of
    assert place(b"MOST_CHANNELS") == MOST_CHANNELS
    assert place(b"STRIP") == STRIP
    for name, kind in STRUCTURES.items():
        assert place(name.encode()) == kind.itemsize, name
        assert kind.fields is not None
        for field, (_, offset, *_) in kind.fields.items():
            assert place(f"{name}.{field}".encode()) == offset, f"{name}.{field}"


@settings(max_examples=600)
@given(SIDES, SIDES, SIDES, SIDES, SEEDS)
def test_whole_frames(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    frame, spec = noise(seed, height, width), spec_of(rows, columns)
    got = filled(frame, ViewSpec(), spec, seed=seed)
    assert abs(got - to_tensor(frame, spec)).max() * 0.25 < 0.1 * GREY


@pytest.mark.parametrize("shape", [(1080, 1920), (1, 3000), (4001, 3), (450, 601)])
def test_frames_of_cameras(shape: tuple[int, int]) -> None:
    frame = noise(5, *shape)
    for size in ((256, 256), (224, 160), (1, 1)):
        spec = spec_of(*size)
        got = filled(frame, ViewSpec(), spec)
        assert abs(got - to_tensor(frame, spec)).max() * 0.25 < 0.1 * GREY


@settings(max_examples=300)
@given(SIDES, SIDES, SIDES, SIDES, SEEDS)
def test_seven_channels(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    frame, spec = noise(seed, height, width), spec_of(rows, columns, "rgb_hsv_l")
    got, expected = (
        array[0] * 0.25 + 0.4
        for array in (filled(frame, ViewSpec(), spec, seed=seed), to_tensor(frame, spec))
    )
    others = [0, 1, 2, 5, 6]
    assert abs(got[others] - expected[others]).max() < 0.1 * GREY
    strong = expected[5] * expected[4] > 0.02  # grey has no hue, and black no saturation
    turned = abs(got[3] - expected[3])
    assert np.minimum(turned, 1 - turned)[strong].max(initial=0) < GREY
    assert abs(got[4] - expected[4])[expected[5] > 0.02].max(initial=0) < GREY


def test_grey_has_the_hue_that_opencv_gives_it() -> None:
    frame = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    spec = spec_of(1, 256, "rgb_hsv_l")
    np.testing.assert_allclose(filled(frame, ViewSpec(), spec), to_tensor(frame, spec), atol=1e-5)


@st.composite
def lesions(draw: st.DrawFn, height: int, width: int) -> Lesion:
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    random = np.random.default_rng(draw(SEEDS))
    raw = (random.random((rows, columns)) < draw(st.sampled_from([0.02, 0.3, 0.8]))).astype("f4")
    raw[random.integers(rows), random.integers(columns)] = 1  # one cell at the least
    found = find_lesion(clean_mask(raw, 0.5, True), height, width)
    assert found is not None
    return found


VIEWS = st.builds(
    ViewSpec,
    area=st.sampled_from(["frame", "middle", "lesion"]),
    margin=st.sampled_from([0.0, 0.1, 0.15, 0.35, 1 / 3, 2.0]),
    square=st.booleans(),
    background=st.sampled_from(["keep", "black"]),
)


@settings(max_examples=600)
@given(st.data(), SIDES, SIDES, SIDES, SIDES, VIEWS, SEEDS, COLOURS)
def test_crops(
    data: st.DataObject, height: int, width: int, rows: int, columns: int, view: ViewSpec,
    seed: int, colour: str,
) -> None:  # fmt: skip
    lesion = data.draw(lesions(height, width))
    frame, spec = noise(seed, height, width), spec_of(rows, columns, colour)
    got = filled(frame, view, spec, lesion, seed=seed)[0, :3]
    expected = to_tensor(cut_view(frame, view, lesion), spec)[0, :3]
    assert abs(got - expected).max() * 0.25 < 0.1 * GREY


@settings(max_examples=600)
@given(st.data(), *[SIDES] * 6, VIEWS, SEEDS, COLOURS)
def test_crops_of_what_a_purifier_painted(
    data: st.DataObject, height: int, width: int, rows: int, columns: int, down: int, along: int,
    view: ViewSpec, seed: int, colour: str,
) -> None:  # fmt: skip
    lesion = data.draw(lesions(height, width))
    view = view.model_copy(update={"source": "purified"})
    painted = np.random.default_rng(seed).random((3, down, along), np.float32)
    frame, spec = noise(seed, height, width), spec_of(rows, columns, colour)
    got = filled(frame, view, spec, lesion, seed=seed, painted=painted)[0, :3]
    picture = np.ascontiguousarray(painted[::-1].transpose(1, 2, 0)) * np.float32(255)
    expected = to_tensor(cut_view(picture, view, lesion, (height, width)), spec)[0, :3]
    assert abs(got - expected).max() * 0.25 < 0.1 * GREY


@settings(max_examples=60)
@given(st.integers(1, 3), SIDES, SIDES, st.sampled_from([np.nan, np.inf, -np.inf, 1e30]), SEEDS)
def test_a_picture_that_is_none_is_found(
    frames: int, height: int, width: int, value: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pictures = random.random((frames, 3, height, width), np.float32)
    which, place = int(random.integers(frames)), int(random.integers(3 * height * width))
    pictures[which].reshape(-1)[place] = value
    broken = np.full(frames, 7, np.int32)
    here, count = Here(seed), 3 * height * width
    here("clear_broken", None, broken.ctypes.data, frames, threads=frames)
    places = pictures.ctypes.data, count, broken.ctypes.data
    here("find_broken", None, *places, threads=-(-count // STRIP), rows=frames)
    expected = [int(number == which and not np.isfinite(value)) for number in range(frames)]
    assert broken.tolist() == expected


@settings(max_examples=100)
@given(SIDES, SIDES, SEEDS)
def test_sixteen_bits_are_the_nearest(height: int, width: int, seed: int) -> None:
    frame, spec = noise(seed, height, width), spec_of(20, 30)
    full = filled(frame, ViewSpec(), spec)
    np.testing.assert_array_equal(
        filled(frame, ViewSpec(), spec, half=True), full.astype(np.float16)
    )


CODES = {Format.YUYV: cv2.COLOR_YUV2BGR_YUY2, Format.NV12: cv2.COLOR_YUV2BGR_NV12}


@pytest.mark.parametrize("format", CODES)
def test_what_cameras_send(format: Format) -> None:
    """Every value of light and colour, as OpenCV turns it into blue, green and red."""
    random = np.random.default_rng(2)
    for height, width in ((2, 2), (6, 10), (64, 48), (256, 256)):
        if format is Format.YUYV:
            pixels = random.integers(0, 256, (height, width, 2), dtype=np.uint8)
        else:
            pixels = random.integers(0, 256, (height * 3 // 2, width), dtype=np.uint8)
        frame = cv2.cvtColor(pixels, CODES[format])
        for size in ((height, width), (17, 13)):
            spec = spec_of(*size)
            got = filled(pixels, ViewSpec(), spec, format=format)
            assert abs(got - to_tensor(frame, spec)).max() * 0.25 < 0.02 * GREY


@settings(max_examples=200)
@given(SIDES, SIDES, st.integers(1, 4000), st.integers(1, 4000), SEEDS)
def test_black_takes_the_nearest_sample(
    rows: int, columns: int, height: int, width: int, seed: int
) -> None:
    """One row and one column of a frame, at its own size: no resampling in the way."""
    mask = (np.random.default_rng(seed).random((rows, columns)) < 0.5).astype(np.uint8)
    expected = nearest(mask, height, width)
    lesion = Lesion(mask, Box(0, 0, width, height), 0.5, True)
    for frame, line in (
        (np.full((1, width, 3), 255, np.uint8), nearest(mask, 1, width)),
        (np.full((height, 1, 3), 255, np.uint8), nearest(mask, height, 1)),
    ):
        shape = frame.shape[:2]
        got = filled(frame, ViewSpec(background="black"), spec_of(*shape), lesion)
        np.testing.assert_array_equal(got[0, 0] * 0.25 + 0.4 > 0.5, line == 1)
    assert expected.shape == (height, width)


# The ensemble


@settings(max_examples=200)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 3), st.booleans(), SEEDS)
def test_members_side_by_side(
    members: int, count: int, frames: int, from_logits: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    said = random.normal(0, 8, (members, frames, count)).astype(np.float32)
    rows = np.zeros(members, SAID)
    rows["values"] = [row.ctypes.data for row in said]
    rows["softmax"] = from_logits
    stacked = np.full((frames, members, count), np.nan, np.float32)
    places = rows.ctypes.data, count, stacked.ctypes.data
    Here(seed)("stack_members", None, *places, threads=count, rows=members, frames=frames)
    expected = softmax(said) if from_logits else said
    np.testing.assert_allclose(stacked, expected.swapaxes(0, 1), rtol=1e-5, atol=1e-7)


def test_a_negative_control() -> None:
    """Another picture, and another box, give something else."""
    spec = spec_of(20, 20)
    view = ViewSpec(area="lesion")
    lesion = Lesion(np.ones((4, 4), np.uint8), Box(3, 4, 20, 30), 1.0, True)
    moved = Lesion(lesion.mask, Box(4, 4, 20, 30), 1.0, True)
    frame = noise(1, 60, 70)
    one = filled(frame, view, spec, lesion)
    assert abs(filled(frame, view, spec, moved) - one).max() > GREY
    assert abs(filled(noise(2, 60, 70), view, spec, lesion) - one).max() > GREY
