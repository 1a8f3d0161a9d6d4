"""What a V4L2 camera can do, asked of the kernel itself: formats, sizes, rates, controls.

By ioctl, because no library in this house speaks V4L2 (OpenCV opens devices and lists none).
Structures are those of <linux/videodev2.h>.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CAPTURE, STREAMING = 0x1, 0x04000000  # capabilities
VIDEO = 1  # the type of buffers
NEXT_CONTROL = 0x80000000
DISABLED, READ_ONLY, INACTIVE = 0x1, 0x4, 0x10
INTEGER, BOOLEAN, MENU = 1, 2, 3
DECODED = ("MJPG", "YUYV")  # here; MJPG carries large pictures over USB
MOST = 200  # of anything that is listed


def _request(number: int, size: int, write: bool = True) -> int:
    """_IOWR('V', number, size) or _IOR."""
    return ((3 if write else 2) << 30) | (size << 16) | (ord("V") << 8) | number


CAPABILITY = struct.Struct("16s32s32s6I")
FORMAT = struct.Struct("3I32s5I")
FRAME_SIZE = struct.Struct("3I6I2I")
FRAME_RATE = struct.Struct("5I6I2I")
CONTROL = struct.Struct("2I32s4i3I")
VALUE = struct.Struct("Ii")

QUERY_CAPABILITY = _request(0, CAPABILITY.size, write=False)
LIST_FORMATS = _request(2, FORMAT.size)
GET_CONTROL, SET_CONTROL = _request(27, VALUE.size), _request(28, VALUE.size)
QUERY_CONTROL = _request(36, CONTROL.size)
LIST_SIZES = _request(74, FRAME_SIZE.size)
LIST_RATES = _request(75, FRAME_RATE.size)


@dataclass(frozen=True, slots=True)
class Size:
    width: int
    height: int
    rates: tuple[float, ...]  # a second; empty where the driver does not say


@dataclass(frozen=True, slots=True)
class Format:
    name: str  # as MJPG
    words: str
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Control:
    name: str
    number: int
    low: int
    high: int
    step: int
    usual: int
    value: int


@dataclass(frozen=True, slots=True)
class Camera:
    device: str
    name: str
    driver: str
    bus: str
    formats: tuple[Format, ...]
    controls: tuple[Control, ...]


def examine(device: Path) -> Camera | None:
    """None where it is no camera: many have a second device for their metadata. OSError else."""
    with _opened(device) as camera:
        found = CAPABILITY.unpack(
            _ask(camera, QUERY_CAPABILITY, CAPABILITY.pack(*[b""] * 3, *[0] * 6))
        )
        driver, name, bus, _, capabilities, of_device = found[:6]
        if not (of_device or capabilities) & CAPTURE:
            return None
        return Camera(
            str(device),
            _text(name),
            _text(driver),
            _text(bus),
            tuple(_formats(camera)),
            tuple(_controls(camera)),
        )


def set_controls(device: Path, wanted: dict[str, int]) -> list[str]:
    """Set controls by their names; what could not be, in words."""
    problems = []
    with _opened(device) as camera:
        known = {control.name: control for control in _controls(camera)}
        for name, value in wanted.items():
            control = known.get(name)
            if control is None:
                problems.append(f"{name}: the camera has no such control")
                continue
            if not control.low <= value <= control.high:
                problems.append(f"{name}: {value} is not within {control.low} to {control.high}")
                continue
            try:
                _ask(camera, SET_CONTROL, VALUE.pack(control.number, value))
            except OSError as exc:
                problems.append(f"{name}: {exc.strerror}")
    return problems


@contextmanager
def _opened(device: Path) -> Iterator[int]:
    descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _ask(camera: int, request: int, fields: bytes) -> bytes:
    answer = bytearray(fields)
    fcntl.ioctl(camera, request, answer, True)
    return bytes(answer)


def _listed(camera: int, request: int, fields: Iterator[bytes]) -> Iterator[bytes]:
    """Ask with one index after the other until there is no more."""
    for given in fields:
        try:
            yield _ask(camera, request, given)
        except OSError as exc:
            if exc.errno in (errno.EINVAL, errno.ENOTTY):
                return
            raise


def _formats(camera: int) -> Iterator[Format]:
    asked = (FORMAT.pack(n, VIDEO, 0, b"", 0, 0, 0, 0, 0) for n in range(MOST))
    for answer in _listed(camera, LIST_FORMATS, asked):
        _, _, _, words, code, *_ = FORMAT.unpack(answer)
        name = code.to_bytes(4, "little").decode("latin-1").rstrip()
        yield Format(name, _text(words), tuple(_sizes(camera, code)))


def _sizes(camera: int, code: int) -> Iterator[Size]:
    asked = (FRAME_SIZE.pack(n, code, *[0] * 9) for n in range(MOST))
    for answer in _listed(camera, LIST_SIZES, asked):
        _, _, kind, *values = FRAME_SIZE.unpack(answer)
        if kind == 1:
            yield Size(values[0], values[1], tuple(_rates(camera, code, values[0], values[1])))
        else:  # any size within limits: the largest stands for all
            yield Size(values[1], values[4], tuple(_rates(camera, code, values[1], values[4])))
            return


def _rates(camera: int, code: int, width: int, height: int) -> Iterator[float]:
    asked = (FRAME_RATE.pack(n, code, width, height, *[0] * 9) for n in range(MOST))
    for answer in _listed(camera, LIST_RATES, asked):
        _, _, _, _, kind, over, under, *_ = FRAME_RATE.unpack(answer)
        if over:
            yield round(under / over, 2)
        if kind != 1:
            return


def _controls(camera: int) -> Iterator[Control]:
    number = 0
    for _ in range(MOST):
        asked = CONTROL.pack(number | NEXT_CONTROL, 0, b"", 0, 0, 0, 0, 0, 0, 0)
        try:
            answer = _ask(camera, QUERY_CONTROL, asked)
        except OSError:
            return
        number, kind, name, low, high, step, usual, flags, *_ = CONTROL.unpack(answer)
        if kind in (INTEGER, BOOLEAN, MENU) and not flags & (DISABLED | READ_ONLY | INACTIVE):
            try:
                value = VALUE.unpack(_ask(camera, GET_CONTROL, VALUE.pack(number, 0)))[1]
            except OSError:
                continue  # one that can only be set, as a button
            yield Control(_text(name), number, low, high, step, usual, value)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
