"""What the USB camera says of itself, as the USB Video Class 1.0 lays it out.

Camera → processing unit (brightness, contrast) → stream, which is a bulk endpoint; and an interrupt
endpoint for the button.
"""

from __future__ import annotations

import struct

STRINGS = ("dermedge", "Loop Dermatoscope", "0001")  # maker, product, serial number
CONTROL_INTERFACE, STREAM_INTERFACE = 0, 1
STREAM, BUTTON = 1, 2  # endpoints, both towards the host
CAMERA, UNIT, OUTPUT = 1, 2, 3
BRIGHTNESS, CONTRAST = 2, 3  # selectors of the processing unit
MJPG, YUYV = 1, 2
FORMATS = (MJPG, YUYV)
SIZES = ((320, 240), (640, 480))
INTERVALS = (333_333, 1_000_000)  # of 100 ns: 30 and 10 a second
LATIN = 0x0409

TO_HOST = 0x80
BULK, INTERRUPT = 2, 3
DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT, QUALIFIER, ASSOCIATION = 1, 2, 3, 4, 5, 6, 11
CS_INTERFACE, CS_ENDPOINT = 0x24, 0x25
VIDEO = 0x0E
YUY2 = b"YUY2\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


def descriptor(kind: int, index: int) -> bytes | None:
    """None where there is none, as of what only a device of two speeds has."""
    if kind == DEVICE:
        body = struct.pack("<H4B3H4B", 0x200, 0xEF, 2, 1, 64, 0x1209, 1, 0x100, 1, 2, 3, 1)
        return _described(DEVICE, body)
    if kind == CONFIGURATION:
        return _configuration()
    if kind == STRING and index <= len(STRINGS):
        text = struct.pack("<H", LATIN) if index == 0 else STRINGS[index - 1].encode("utf-16-le")
        return _described(STRING, text)
    return None


def _described(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 2, kind]) + body


def _interface(number: int, endpoints: int, subclass: int) -> bytes:
    return _described(INTERFACE, bytes([number, 0, endpoints, VIDEO, subclass, 0, 0]))


def _endpoint(number: int, kind: int, packet: int, interval: int) -> bytes:
    return _described(ENDPOINT, struct.pack("<BBHB", TO_HOST | number, kind, packet, interval))


def _configuration() -> bytes:
    body = b"".join(
        [
            _described(ASSOCIATION, bytes([CONTROL_INTERFACE, 2, VIDEO, 3, 0, 0])),
            _interface(CONTROL_INTERFACE, 1, 1),
            _control_part(),
            _endpoint(BUTTON, INTERRUPT, 16, 8),
            _described(CS_ENDPOINT, struct.pack("<BH", INTERRUPT, 16)),
            _interface(STREAM_INTERFACE, 1, 2),
            _stream_part(),
            _endpoint(STREAM, BULK, 512, 0),
        ]
    )
    return _described(CONFIGURATION, struct.pack("<H5B", 9 + len(body), 2, 1, 0, 0x80, 250)) + body


def _control_part() -> bytes:
    units = b"".join(
        [
            _described(
                CS_INTERFACE, struct.pack("<2BH2B3H4B", 2, CAMERA, 0x201, 0, 0, 0, 0, 0, 3, 0, 0, 0)
            ),
            _described(CS_INTERFACE, struct.pack("<3BHBHB", 5, UNIT, CAMERA, 0, 2, 0b11, 0)),
            _described(CS_INTERFACE, struct.pack("<2BH3B", 3, OUTPUT, 0x101, 0, UNIT, 0)),
        ]
    )
    fields = (1, 0x100, 13 + len(units), 48_000_000, 1, STREAM_INTERFACE)
    return _described(CS_INTERFACE, struct.pack("<B2HI2B", *fields)) + units


def _stream_part() -> bytes:
    formats = b"".join(
        [
            _described(CS_INTERFACE, bytes([6, MJPG, len(SIZES), 1, 1, 0, 0, 0, 0])),
            *(_frame(7, number + 1, *size) for number, size in enumerate(SIZES)),
            _described(
                CS_INTERFACE, bytes([4, YUYV, len(SIZES)]) + YUY2 + bytes([16, 1, 0, 0, 0, 0])
            ),
            *(_frame(5, number + 1, *size) for number, size in enumerate(SIZES)),
        ]
    )
    length = 13 + len(FORMATS) + len(formats)
    # A button that the host hears of; what it does is not the camera's business.
    trigger = (1, 1)
    fields = (1, len(FORMATS), length, TO_HOST | STREAM, 0, OUTPUT, 0, *trigger, 1)
    head = struct.pack("<2BH7B", *fields) + bytes(len(FORMATS))
    return _described(CS_INTERFACE, head) + formats


def _frame(kind: int, number: int, width: int, height: int) -> bytes:
    """`kind` is 7 for a frame of MJPG, 5 for one that is not compressed."""
    size = width * height * 2
    rates = (len(INTERVALS), *INTERVALS)
    fields = (kind, number, 0, width, height, size * 80, size * 240, size, INTERVALS[0], *rates)
    return _described(CS_INTERFACE, struct.pack("<3B2H4IB2I", *fields))
