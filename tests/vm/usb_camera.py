"""A USB camera (UVC 1.0): MJPG and YUYV, two controls and a button. It can be told to fail."""

from __future__ import annotations

import struct
import time
from functools import partial
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from tests.runtime.capture.waiting import until
from tests.vm.usb_descriptors import (
    BRIGHTNESS,
    BUTTON,
    CONTRAST,
    FORMATS,
    INTERVALS,
    MJPG,
    SIZES,
    STREAM,
    STREAM_INTERFACE,
    STRINGS,
    UNIT,
    descriptor,
)
from tests.vm.usbip import Plug, Setup

if TYPE_CHECKING:
    from typing_extensions import Self

Way = Literal["well", "silent", "garbage", "half"]

NAME = STRINGS[1]
COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200))  # blue, green and red, from left to right
USUAL = {BRIGHTNESS: 128, CONTRAST: 32}
HIGHEST = 255

CLASS, OF_A_CLASS = 0x60, 0x20  # bits of a request's kind, and what they are for one of a class
CLEAR_FEATURE, GET_DESCRIPTOR = 1, 6
SET_CURRENT, GET_CURRENT = 0x01, 0x81
LEAST, MOST, STEP, DEFAULT = 0x82, 0x83, 0x84, 0x87
INFORMATION, GET_AND_SET = 0x86, b"\x03"
COMMIT = 2  # what is asked of the stream; 1 is only a probe
PROBE = struct.Struct("<H2BI10x2I")  # hint, format, frame, interval, bytes of a frame, of a payload
HEADER = 2
END_OF_FRAME = 0x82
MARK = 16
HUFFMAN_TABLES, START_OF_SCAN = 0xC4, 0xDA  # of a JPEG


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Three stripes, and in the lower half a mark that is elsewhere in every frame."""
    image = np.empty((height, width, 3), np.uint8)
    for place, colour in enumerate(COLOURS):
        image[:, place * width // 3 : (place + 1) * width // 3] = colour
    left = number * MARK % (width - MARK)
    image[-height // 4 :, left : left + MARK] = 255
    return image


class UsbCamera:
    """Plugged in while it is held. `way` may be changed while it runs."""

    def __init__(self) -> None:
        self.way: Way = "well"
        self.settings = dict(USUAL)  # forgotten without power
        self._asked = (MJPG, 1, INTERVALS[0])  # format, frame and interval
        self._streams = 0  # how many were begun: each begins with a whole frame
        self._plug: Plug | None = None

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unplug()

    def plug_in(self) -> None:
        self.way, self.settings = "well", dict(USUAL)
        self._plug = Plug(self)
        self._feeder = Thread(target=self._feed, args=(self._plug,), name="feeder", daemon=True)
        self._feeder.start()

    def unplug(self) -> None:
        if self._plug is not None:
            self._plug.pull()
            self._feeder.join()
            self._plug = None

    def die(self) -> None:
        """Answer nothing from now on, until it is unplugged."""
        assert self._plug is not None
        self._plug.die()

    @property
    def button_is_heard(self) -> bool:
        """The driver asks for it only while somebody has the camera open."""
        return self._plug is not None and self._plug.is_asked(BUTTON)

    @property
    def rate(self) -> float:
        """Frames a second, as they were asked for."""
        return 1e7 / self._asked[2]

    def press(self) -> None:
        assert self._plug is not None
        for down in (1, 0):
            until(lambda: self.button_is_heard, "nobody hears the button")
            self._plug.give(BUTTON, bytes([2, STREAM_INTERFACE, 0, down]))

    def control(self, setup: Setup, written: bytes) -> bytes | None:
        selector, entity = setup.value >> 8, setup.index >> 8
        if setup.kind & CLASS == OF_A_CLASS:
            if setup.index == STREAM_INTERFACE:
                return self._negotiate(selector, setup.request, written)
            return self._set(selector, setup.request, written) if entity == UNIT else None
        if setup.request == GET_DESCRIPTOR:
            return descriptor(setup.value >> 8, setup.value & 0xFF)
        if setup.request == CLEAR_FEATURE:  # of the endpoint, by which a stream is stopped
            self._begin()
        return bytes(setup.length)

    def _negotiate(self, stage: int, request: int, written: bytes) -> bytes:
        """Of the stream's two stages both are asked the same; the second one begins it."""
        if request == INFORMATION:
            return GET_AND_SET
        if request == SET_CURRENT:
            _, format_, frame, interval, *_ = PROBE.unpack(written)
            known = format_ in FORMATS and 0 < frame <= len(SIZES) and interval in INTERVALS
            self._asked = (format_, frame, interval) if known else self._asked
            if stage == COMMIT:
                self._begin()
            return b""
        width, height = SIZES[self._asked[1] - 1]
        size = width * height * 2
        return PROBE.pack(0, *self._asked, size, size + HEADER)

    def _set(self, setting: int, request: int, written: bytes) -> bytes | None:
        if setting not in USUAL:
            return None
        if request == SET_CURRENT:
            (self.settings[setting],) = struct.unpack("<h", written)
            return b""
        if request == INFORMATION:
            return GET_AND_SET
        usual, now = USUAL[setting], self.settings[setting]
        known = {GET_CURRENT: now, LEAST: 0, MOST: HIGHEST, STEP: 1, DEFAULT: usual}
        return struct.pack("<h", known[request])

    def _begin(self) -> None:
        self._streams += 1
        if self._plug is not None:
            self._plug.wake()

    def _feed(self, plug: Plug) -> None:
        number = 0
        while not plug.pulled:
            time.sleep(1 / self.rate)
            if self.way == "silent":
                continue
            number += 1
            stream = self._streams
            head = bytes([HEADER, END_OF_FRAME | number % 2])
            plug.give(STREAM, head + self._frame(number), partial(self._is_over, stream))

    def _is_over(self, stream: int) -> bool:
        return stream != self._streams

    def _frame(self, number: int) -> bytes:
        format_, size, _ = self._asked
        image = picture(number, *SIZES[size - 1])
        if format_ == MJPG:
            data = _without_tables(cv2.imencode(".jpg", image)[1].tobytes())
        else:
            data = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUYV).tobytes()
        if self.way == "garbage":
            return np.random.default_rng(number).bytes(len(data))
        return data[: len(data) // 2] if self.way == "half" else data


def _without_tables(jpeg: bytes) -> bytes:
    """As most USB cameras send it: the Huffman tables are those that everybody knows."""
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != START_OF_SCAN:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        kept += b"" if jpeg[at + 1] == HUFFMAN_TABLES else jpeg[at:end]
        at = end
    return kept + jpeg[at:]
