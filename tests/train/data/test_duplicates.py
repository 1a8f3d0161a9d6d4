"""Copies are found through what copies go through; pictures that look alike are left alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import InputError
from tests.train.data.pictures import Picture, picture, save
from train.data import fingerprints
from train.data.content import sha256
from train.data.duplicates import find_pairs
from train.data.fingerprints import Fingerprints, default_cache


def _resized(image: Picture, width: int, height: int) -> Picture:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _shifted(image: Picture) -> Picture:
    warp = np.array([[1.04, 0, -3], [0, 1.02, 2]], np.float32)
    return cv2.warpAffine(image, warp, (128, 128), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)


def _recoloured(image: Picture) -> Picture:
    return np.clip(image * np.array([1.1, 0.8, 0.9]) + 8, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "recompressed": lambda image: image,
    "smaller": lambda image: _resized(image, 64, 64),
    "stretched": lambda image: _resized(image, 256, 160),
    "shifted and zoomed": _shifted,
    "other colours": _recoloured,
    "mirrored": lambda image: image[:, ::-1],
    "a quarter turn": np.rot90,
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found(tmp_path: Path, change: str) -> None:
    images = [save(tmp_path / f"{n}.png", picture(n)) for n in range(4)]
    copy = save(tmp_path / "copy.jpg", np.ascontiguousarray(CHANGES[change](picture(2))), 70)
    (pair,) = find_pairs(images, [copy])
    assert (pair.first, pair.second, pair.identical) == (2, 0, False)
    assert pair.mirrored == (change in {"mirrored", "a quarter turn"})


def test_identical_files(tmp_path: Path) -> None:
    one, other = (save(tmp_path / name, picture(1)) for name in ("a.png", "b.png"))
    (pair,) = find_pairs([one, other])
    assert (pair.first, pair.second, pair.identical, pair.likeness) == (0, 1, True, 1.0)


def test_pictures_that_only_look_alike_are_no_copies(tmp_path: Path) -> None:
    assert find_pairs([save(tmp_path / f"{n}.png", picture(n)) for n in range(40)]) == []


def test_a_black_frame_is_no_likeness(tmp_path: Path) -> None:
    """Thousands of pictures share the round view of one dermatoscope."""
    disc = np.zeros((128, 128, 1), np.uint8)
    cv2.circle(disc, (64, 64), 58, 1, -1)
    images = [save(tmp_path / f"{n}.png", picture(n) * disc) for n in range(12)]
    assert find_pairs(images) == []


def test_a_featureless_picture_is_like_no_other(tmp_path: Path) -> None:
    grey = [np.full((64, 64, 3), level, np.uint8) for level in (0, 120, 121, 255)]
    assert find_pairs([save(tmp_path / f"{n}.png", g) for n, g in enumerate(grey)]) == []


def test_blocks_do_not_hide_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [save(tmp_path / f"{n}.png", picture(n % 5)) for n in range(10)]
    whole = find_pairs(images)
    monkeypatch.setattr("train.data.duplicates._BLOCK", 3)
    assert find_pairs(images) == whole
    assert [(p.first, p.second) for p in whole] == [(n, n + 5) for n in range(5)]
    crossed = find_pairs(images, images)
    assert {(p.first, p.second) for p in crossed} >= {(n, n) for n in range(10)}


def test_nothing_to_compare(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png", picture(0))
    assert find_pairs([]) == find_pairs([image]) == find_pairs([image], []) == []


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"Cannot read the image .*bad\.jpg"):
        find_pairs([tmp_path / "bad.jpg"])
    with pytest.raises(InputError, match=r"Cannot read .*gone\.jpg"):
        find_pairs([tmp_path / "gone.jpg"])


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_the_cache_spares_reading_and_notices_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = save(tmp_path / "a.png", picture(1))
    steps: list[tuple[int, int]] = []
    (first,) = Fingerprints(tmp_path / "cache").of([image], lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints, "load_gray", None)  # calling it would fail
        (again,) = Fingerprints(tmp_path / "cache").of([image])
    assert again.sha256 == first.sha256
    np.testing.assert_array_equal(again.thumb, first.thumb)
    save(image, picture(2, 140))
    (changed,) = Fingerprints(tmp_path / "cache").of([image])
    assert changed.sha256 != first.sha256


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_cache_is_ignored(tmp_path: Path, damage: bytes) -> None:
    image = save(tmp_path / "a.png", picture(1))
    (tmp_path / fingerprints.FILE_NAME).write_bytes(damage)
    assert Fingerprints(tmp_path).of([image])[0].sha256 == sha256(image)


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png", picture(1))
    (tmp_path / "file").write_text("in the way")
    assert len(Fingerprints(tmp_path / "file").of([image])) == 1


def test_the_cache_folder_follows_the_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_cache() == Path("/elsewhere/dermedge")
