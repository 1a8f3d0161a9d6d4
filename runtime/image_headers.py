"""What an image file says about itself, read by hand: size, pages, transparency, completeness.

OpenCV decodes the first page of many without a word, drops transparency, and depending on its
version fills what a truncated file lacks with grey. A picture that is scored must be the whole
picture and the one that was meant, so these facts are read before OpenCV sees the bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from runtime.errors import InputError

READABLE = "JPEG, PNG, TIFF, BMP or WebP"
_RAW = "Convert it to PNG, or to JPEG of high quality."
_FOREIGN = (  # where the signature stands, the signature, what it is, what to do
    (4, b"ftypheic", "HEIC", "Set the phone's camera to 'most compatible', or convert it to JPEG."),
    (4, b"ftypmif1", "HEIF", _RAW),
    (4, b"ftypavif", "AVIF", _RAW),
    (4, b"jP  ", "JPEG 2000", _RAW),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", _RAW),
    (0, b"GIF8", "GIF", _RAW),  # 256 colours at most, and OpenCV reads it since 4.11 only
    (128, b"DICM", "DICOM", "Export the picture from the archive as PNG or JPEG."),
    (0, b"%PDF", "PDF", "Export the picture itself as PNG or JPEG."),
    (0, b"<", "HTML, XML or SVG text", "Download the picture itself, not the page that shows it."),
)
# In entropy-coded data FF00 is a plain FF, and FFD0…FFD7 are restart marks; others end the scan.
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_BARE_MARKERS = frozenset({0x01, 0xD8})  # no length follows


@dataclass(frozen=True, slots=True)
class Header:
    kind: str
    width: int
    height: int
    pages: int = 1
    alpha: bool = False  # transparency may be there; the pixels have to be looked at
    end: int = 0  # of a JPEG: where its end mark stands; phones append more pictures after it


class Broken(Exception):
    """The file contradicts or ends before itself; the text completes "the image …"."""


def read_header(data: bytes, name: str) -> Header:
    """The header of a complete file of a kind we read, or an InputError that says what it is."""
    try:
        for signature, parse in _PARSERS:
            if data.startswith(signature) and (parse is not _webp or data[8:12] == b"WEBP"):
                return parse(data)
    except Broken as exc:
        raise InputError(
            f"{name} {exc}.",
            got=f"{len(data):,} bytes",
            expected="a complete image file",
            remedy="Copy the file from its source again.",
        ) from exc
    # OverflowError: an offset of a BigTIFF that no buffer could reach.
    except (struct.error, IndexError, OverflowError) as exc:
        raise InputError(
            f"{name} is truncated.",
            got=f"{len(data):,} bytes, which end within the header",
            expected="a complete image file",
            remedy="Copy the file from its source again.",
        ) from exc
    raise _foreign(data, name)


def _foreign(data: bytes, name: str) -> InputError:
    if not data:
        got, remedy = "0 bytes", "Copy the file from its source again."
        return InputError(f"{name} is empty.", got=got, expected=READABLE, remedy=remedy)
    for offset, signature, kind, remedy in _FOREIGN:
        if data[offset : offset + len(signature)] == signature:
            what = f"{name} is in a format that is not read."
            return InputError(what, got=kind, expected=READABLE, remedy=remedy)
    return InputError(
        f"{name} is not an image.",
        got=f"a file that begins with the bytes {data[:8].hex(' ')}",
        expected=READABLE,
        remedy="Check that the file is what its name says.",
    )


def _jpeg(data: bytes) -> Header:
    """Walk the segments to the end mark; a preview within the metadata does not count as one."""
    width = height = 0
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise Broken("is truncated: its end mark is missing")
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            end = found.start()
            break
        if marker in _BARE_MARKERS:
            continue
        if marker == _SCAN and data.endswith(b"\xff\xd9"):
            end = len(data) - 2  # a cut within a scan cannot look like this: no need to walk it
            break
        length = struct.unpack_from(">H", data, at)[0]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 3)
        at += length
    if not width or not height:
        raise Broken("is damaged: it holds no picture")
    return Header("JPEG", width, height, end=end)


def _png(data: bytes) -> Header:
    width, height, _depth, colour = struct.unpack_from(">IIBB", data, 16)
    alpha, pages, at = colour in (4, 6), 1, 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise Broken("is truncated: it ends within a chunk")
        if struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            raise Broken(f"is damaged: the checksum of its {kind.decode('latin-1')} chunk is wrong")
        alpha = alpha or kind == b"tRNS"
        if kind == b"acTL":
            pages = struct.unpack_from(">I", data, at + 8)[0]
        if kind == b"IEND":
            return Header("PNG", width, height, pages, alpha)
        at = end


def _webp(data: bytes) -> Header:
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise Broken("is truncated: it is shorter than it says")
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width, height = (1 + int.from_bytes(data[i : i + 3], "little") for i in (24, 27))
        pages = len(re.findall(b"ANMF", data)) if flags & 0x02 else 1
        return Header("WebP", width, height, pages, alpha=bool(flags & 0x10))
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return Header("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha=True)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("WebP", width & 0x3FFF, height & 0x3FFF)


def _bmp(data: bytes) -> Header:
    size = struct.unpack_from("<I", data, 14)[0]
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height))


def _tiff(data: bytes) -> Header:
    """Count the pages, without the previews and masks that belong to another page."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count_format, next_format, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    at = struct.unpack_from(order + next_format, data, 8 if big else 4)[0]
    pages: list[Header] = []
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        count = struct.unpack_from(order + count_format, data, at)[0]
        at += struct.calcsize(order + count_format)
        tags = dict(_tiff_tag(data, order, at + entry * i, big) for i in range(count))
        if not tags.get(254, 0) & 5:  # bit 0: a reduced copy, bit 2: a mask
            pages.append(Header("TIFF", tags.get(256, 0), tags.get(257, 0), alpha=338 in tags))
        at = struct.unpack_from(order + next_format, data, at + entry * count)[0]
    if not pages:
        raise Broken("is damaged: it holds no picture")
    first = pages[0]
    return Header("TIFF", first.width, first.height, len(pages), first.alpha)


def _tiff_tag(data: bytes, order: str, at: int, big: bool) -> tuple[int, int]:
    """A tag and its first value where that is a small integer; of other kinds, their offset."""
    tag, kind = struct.unpack_from(order + "HH", data, at)
    value_format = {1: "B", 3: "H"}.get(kind, "Q" if big else "I")
    return tag, struct.unpack_from(order + value_format, data, at + (12 if big else 8))[0]


_PARSERS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
