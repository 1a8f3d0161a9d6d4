"""Every kind of image file a clinic's folder holds: it is the right pixels, or a clear refusal."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from runtime import decode
from runtime.decode import decode_image, printable, read_image
from runtime.errors import InputError
from runtime.preprocess import Image


def photograph(height: int = 48, width: int = 80) -> Image:
    """Smooth colours without any symmetry, so that a turned or mirrored copy differs."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = (60 + rows, 90 + columns, 200 - rows / 2 - columns / 2)
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    ok, data = cv2.imencode(suffix, image, options)
    assert ok
    return data.tobytes()


def saved(image: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PIXELS = photograph()
PICTURE = Pillow.fromarray(np.ascontiguousarray(PIXELS[..., ::-1]))
JPEG = encoded(".jpg", PIXELS, cv2.IMWRITE_JPEG_QUALITY, 95)
NOISE = np.random.default_rng(7).integers(0, 256, (96, 96, 3), dtype=np.uint8)
FILES = {
    suffix: encoded(suffix, PIXELS) for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp")
} | {
    "progressive": encoded(".jpg", PIXELS, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", PIXELS, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
}


def close(got: Image, wanted: Image, within: int) -> bool:
    return got.shape == wanted.shape and bool(
        (np.abs(got.astype(int) - wanted.astype(int)) <= within).all()
    )


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        decode_image(data, "a.jpg")
    assert caught.value.what.startswith("a.jpg ")
    assert caught.value.got
    assert caught.value.expected
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("kind", FILES)
def test_the_usual_kinds(kind: str) -> None:
    frame = decode_image(FILES[kind], "a")
    lossless = kind in {".png", ".bmp", ".tif"}
    assert close(frame, PIXELS, 0 if lossless else 25)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous


def test_read_image_hashes_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(FILES[".png"])
    decoded = read_image(tmp_path / "a.png")
    assert decoded.sha256 == hashlib.sha256(FILES[".png"]).hexdigest()
    assert np.array_equal(decoded.frame, PIXELS)


@pytest.mark.parametrize("kind", FILES)
def test_every_truncation_is_noticed(kind: str) -> None:
    """OpenCV, depending on its version, fills what is missing with grey and says nothing."""
    data = FILES[kind]
    for length in sorted({1, 4, 9, 20, 40, len(data) // 3, len(data) // 2, len(data) - 1}):
        refused(data[:length])


def test_a_jpeg_cut_short_and_closed_again() -> None:
    """A recovery tool adds the end mark; libjpeg then fills the rest with mid-grey, silently."""
    data = encoded(".jpg", NOISE)
    assert "ends before the picture" in refused(data[: len(data) // 2] + b"\xff\xd9")


@pytest.mark.parametrize("value", [0, 127, 128, 129, 255])
def test_a_truly_grey_jpeg_is_whole(value: int) -> None:
    grey = np.full((40, 40, 3), value, np.uint8)
    assert close(decode_image(encoded(".jpg", grey), "a"), grey, 1)
    grey[10:30, 10:30] = 30
    assert close(decode_image(encoded(".jpg", grey), "a"), grey, 60)


def test_what_follows_a_jpeg_is_ignored() -> None:
    """Phones append a depth map or a small film, itself with an end mark."""
    grey = np.full((40, 40, 3), 128, np.uint8)
    for first in (JPEG, encoded(".jpg", grey)):
        alone = decode_image(first, "a")
        assert np.array_equal(decode_image(first + JPEG + b"\0" * 30, "a"), alone)


def test_empty() -> None:
    assert "is empty" in refused(b"")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), "HEIC"),
        (b"\x00\x00\x00\x18ftypavif" + bytes(50), "AVIF"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
        (b"GIF89a" + bytes(50), "GIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"hello, I am no image at all", "68 65 6c 6c"),
        (bytes(500), "00 00 00"),
    ],
)
def test_not_an_image_whatever_its_name(data: bytes, says: str) -> None:
    assert says in refused(data)


def test_cmyk() -> None:
    data = saved(PICTURE.convert("CMYK"), "JPEG", quality=95)
    assert close(decode_image(data, "a"), PIXELS, 12)


def test_grey_and_palette() -> None:
    grey = PIXELS[..., 1]
    for suffix in (".png", ".tif", ".jpg"):
        frame = decode_image(encoded(suffix, grey), "a")
        assert close(frame, np.dstack([grey] * 3), 3 if suffix == ".jpg" else 0)
    palette = PICTURE.quantize(64)
    wanted = np.asarray(palette.convert("RGB"))[..., ::-1]
    for kind in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(decode_image(saved(palette, kind), "a"), wanted)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_to_8(suffix: str) -> None:
    wide = np.random.default_rng(3).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    frame = decode_image(encoded(suffix, wide), "a")
    assert np.abs(frame - wide / 257).max() <= 1
    assert frame.dtype == np.uint8


def test_float_tiff_is_refused() -> None:
    assert "8 or 16 bits" in refused(encoded(".tif", PIXELS.astype(np.float32) / 255))


def test_an_opaque_alpha_is_dropped() -> None:
    opaque = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])
    assert np.array_equal(decode_image(encoded(".png", opaque), "a"), PIXELS)
    assert np.array_equal(decode_image(saved(PICTURE.convert("RGBA"), "TIFF"), "a"), PIXELS)


def clear_on_the_left() -> Pillow.Image:
    alpha = np.full(PIXELS.shape[:2], 255, np.uint8)
    alpha[:, :30] = 0
    alpha[:, 30:40] = 128
    picture = PICTURE.convert("RGBA")
    picture.putalpha(Pillow.fromarray(alpha))
    return picture


def over_white(picture: Pillow.Image) -> Image:
    white = Pillow.new("RGBA", picture.size, "white")
    return np.asarray(Pillow.alpha_composite(white, picture).convert("RGB"))[..., ::-1]


def test_transparency_lies_over_white() -> None:
    picture = clear_on_the_left()
    wanted = over_white(picture)
    assert close(decode_image(saved(picture, "PNG"), "a"), wanted, 1)
    lossless = saved(picture, "WEBP", lossless=True, exact=True)
    assert close(decode_image(lossless, "a"), wanted, 1)
    wide = np.asarray(picture)[..., [2, 1, 0, 3]].astype(np.uint16) * 257
    assert close(decode_image(encoded(".png", wide), "a"), wanted, 1)


def test_transparency_in_a_palette() -> None:
    palette = PICTURE.quantize(16)
    frame = decode_image(saved(palette, "PNG", transparency=3), "a")
    clear = np.asarray(palette) == 3
    assert (frame[clear] == 255).all()
    assert np.array_equal(frame[~clear], np.asarray(palette.convert("RGB"))[~clear][:, ::-1])


def test_a_transparent_tiff_is_refused() -> None:
    assert "alpha" in refused(saved(clear_on_the_left(), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x112] = orientation
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]

    def turn(picture: Pillow.Image) -> Pillow.Image:
        return picture if turned is None else picture.transpose(Pillow.Transpose(turned))

    wanted = np.asarray(turn(PICTURE))[..., ::-1]
    assert np.array_equal(decode_image(saved(PICTURE, "PNG", exif=exif), "a"), wanted)
    assert close(decode_image(saved(PICTURE, "JPEG", exif=exif, quality=95), "a"), wanted, 12)
    clear = clear_on_the_left()
    frame = decode_image(saved(clear, "PNG", exif=exif), "a")
    assert close(frame, over_white(turn(clear)), 1)


def test_several_pictures_in_a_file_are_refused() -> None:
    other = PICTURE.rotate(180)
    for kind in ("PNG", "WEBP", "TIFF"):
        text = refused(saved(PICTURE, kind, save_all=True, append_images=[other, PICTURE]))
        assert "3 pages or animation frames" in text
        assert "a file of its own" in text


def test_a_preview_is_no_second_page() -> None:
    """A second directory that says it is a reduced copy (tag 254, bit 0)."""
    data = bytearray(saved(PICTURE, "TIFF", save_all=True, append_images=[PICTURE]))
    first = struct.unpack_from("<I", data, 4)[0]
    tags = struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * tags)[0]
    struct.pack_into("<HHII", data, second + 2, 254, 4, 1, 1)  # in place of its width, tag 256
    assert np.array_equal(decode_image(bytes(data), "a"), PIXELS)


def test_one_pixel() -> None:
    for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp"):
        assert decode_image(encoded(suffix, PIXELS[:1, :1]), "a").shape == (1, 1, 3)


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    row = bytes(1 + width // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_100_megapixels() -> None:
    assert decode_image(png_of(10_000, 10_000), "a").shape == (10_000, 10_000, 3)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    assert "at most 200 million" in refused(png_of(80_000, 8_000))


def test_a_damaged_png_is_named_so() -> None:
    data = bytearray(FILES[".png"])
    data[60] ^= 4
    assert "checksum" in refused(bytes(data))


class TestPaths:
    def message(self, path: Path) -> str:
        with pytest.raises(InputError) as caught:
            read_image(path)
        return str(caught.value)

    def test_vanished(self, tmp_path: Path) -> None:
        assert "No such file" in self.message(tmp_path / "a.jpg")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").mkdir()
        assert "a folder" in self.message(tmp_path / "x.jpg")

    def test_a_pipe_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.jpg")
        assert "a pipe" in self.message(tmp_path / "x.jpg")

    def test_a_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").symlink_to(tmp_path / "nowhere.jpg")
        assert "No such file" in self.message(tmp_path / "x.jpg")

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def deny(_path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        (tmp_path / "x.jpg").write_bytes(JPEG)
        monkeypatch.setattr(Path, "read_bytes", deny)
        assert "Permission denied" in self.message(tmp_path / "x.jpg")

    def test_an_enormous_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x.jpg").write_bytes(JPEG)
        monkeypatch.setattr(decode, "MAX_BYTES", 100)
        assert "too large" in self.message(tmp_path / "x.jpg")

    @pytest.mark.parametrize("name", ["a b.png", "-rf.png", "Übung – 皮膚.png", "two\nlines.png"])
    def test_names(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(FILES[".png"])
        assert np.array_equal(read_image(tmp_path / name).frame, PIXELS)


def test_messages_stay_on_one_line() -> None:
    assert printable("two\nlines \udcff\x1b[31m é") == "two\\nlines \\udcff\\x1b[31m é"


def survives(data: bytes) -> None:
    try:
        frame = decode_image(data, "a")
    except InputError:
        return
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert frame.shape[2] == 3


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0",
                        b"MM\0+", b"RIFF\x10\0\0\0WEBPVP8X"]), st.binary(max_size=300))  # fmt: skip
@example(b"MM\0+", b"\0\0\0\0\x80" + bytes(7))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    survives(start + rest)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_random_damage(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[kind])
    flips = data.draw(st.lists(st.integers(0, 8 * len(damaged) - 1), max_size=6))
    for flip in flips:
        damaged[flip // 8] ^= 1 << flip % 8
    survives(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    survives(bytes(damaged))
