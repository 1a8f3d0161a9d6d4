"""A folder is searched wholly, once, in order, and nothing in it can stop the search."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import sources
from runtime.errors import InputError, UsageError
from runtime.sources import Loaded, folder, one_image, safe_name
from tests.runtime.scans import write_pictures


def never(source: str, sha256: str) -> bool:
    return False


def loaded(path: Path) -> dict[str, Loaded]:
    return {item.source: item.load(never) for item in folder(path).items}


def test_one_image(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    found = one_image(tmp_path / "p000.png")
    (item,) = found.items
    got = item.load(never)
    assert item.source == "p000.png"
    assert got.frame is not None
    assert got.frame.shape == (60, 80, 3)
    assert got.sha256 == hashlib.sha256((tmp_path / "p000.png").read_bytes()).hexdigest()
    assert found.total == 1


def test_a_known_image_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path, 1)
    monkeypatch.setattr(sources, "decode_image", None)  # calling it would fail
    (item,) = folder(tmp_path).items
    told: list[tuple[str, str]] = []

    def known(source: str, sha256: str) -> bool:
        told.append((source, sha256))
        return True

    got = item.load(known)
    assert got.frame is None
    assert got.error is None
    assert told == [("p000.png", got.sha256)]


def test_subfolders_in_order_with_paths_as_names(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    write_pictures(tmp_path / "b" / "c", 1)
    write_pictures(tmp_path / "a", 1)
    found = folder(tmp_path)
    assert [item.source for item in found.items] == [
        "a/p000.png",
        "b/c/p000.png",
        "p000.png",
        "p001.png",
    ]
    assert found.total == 4


def test_other_files_are_counted_and_formats_we_refuse_are_not_hidden(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", "._p000.png"):
        (tmp_path / name).write_text("x")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    found = folder(tmp_path)
    assert found.passed_over == "2 of other kinds and 2 hidden"
    got = {item.source: item.load(never) for item in found.items}
    assert set(got) == {"p000.png", "IMG_1.HEIC"}
    assert "HEIC" in str(got["IMG_1.HEIC"].error)


@pytest.mark.parametrize("name", ["a b.png", "-rf.png", "--help.png", "皮膚é.png", "x\ny.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    write_pictures(tmp_path, 1)
    (tmp_path / "p000.png").rename(tmp_path / name)
    got = loaded(tmp_path)
    assert set(got) == {name}
    assert got[name].frame is not None


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        os.rename(os.fsencode(tmp_path / "p000.png"), raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    got = loaded(tmp_path)
    assert set(got) == {"caf\\xe9.png"}
    assert got["caf\\xe9.png"].frame is not None
    assert safe_name("caf\udce9.png").encode("utf-8")


PARTS = st.sampled_from([b"\\", b"x", b"f", b"8", b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"a"])
NAMES = st.lists(PARTS, max_size=9).map(b"".join) | st.binary(max_size=9)


def original(spelling: str) -> bytes:
    """The name that a spelling is of: an odd number of backslashes ends in a byte."""

    def back(found: re.Match[str]) -> str:
        backslashes, digits = len(found[1]), found[2]
        byte = chr(0xDC00 + int(digits, 16)) if backslashes % 2 else "x" + digits
        return "\\" * (backslashes // 2) + byte

    text = re.sub(r"(\\+)x([89a-f][0-9a-f])", back, spelling)
    return text.encode("utf-8", "surrogateescape")


@given(NAMES)
def test_no_two_names_are_spelled_alike(name: bytes) -> None:
    """A spelling tells the name it is of, so that no other has it."""
    spelling = safe_name(name.decode("utf-8", "surrogateescape"))
    assert original(spelling) == name
    spelling.encode("utf-8")


@pytest.mark.parametrize(
    "name", ["a\\b.png", "\\\\server.png", "\\x41.png", "\\xFF.png", "é\\.png"]
)
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert safe_name(name) == name


def test_links(tmp_path: Path) -> None:
    """Followed, each folder once; a circle ends; one that leads nowhere is an error of its own."""
    write_pictures(tmp_path / "in" / "deep", 1)
    write_pictures(tmp_path / "elsewhere", 1)
    (tmp_path / "in" / "again").symlink_to(".")
    (tmp_path / "in" / "deep" / "up").symlink_to("..")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "self.png").symlink_to("self.png")
    (tmp_path / "in" / "gone.jpg").symlink_to("nowhere")
    got = loaded(tmp_path / "in")
    assert sorted(got) == ["deep/p000.png", "gone.jpg", "out/p000.png", "self.png"]
    assert got["self.png"].error
    assert got["gone.jpg"].error


def test_what_is_no_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    got = loaded(tmp_path)
    assert "a folder" in str(got["x.jpg"].error)
    assert "a pipe" in str(got["pipe.png"].error)


def test_a_file_that_vanishes_after_it_was_listed(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    found = folder(tmp_path)
    (tmp_path / "p000.png").unlink()
    first, second = (item.load(never) for item in found.items)
    assert first.error
    assert first.sha256 == ""
    assert second.frame is not None


def test_a_damaged_file_keeps_its_hash(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    got = loaded(tmp_path)["a.png"]
    assert got.error
    assert got.sha256 == hashlib.sha256(b"").hexdigest()


def test_a_subfolder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "fine", 1)
    write_pictures(tmp_path / "locked", 1)
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(sources.os, "scandir", scandir)
    got = loaded(tmp_path)
    assert set(got) == {"fine/p000.png", "locked/"}
    assert "Permission denied" in str(got["locked/"].error)


def test_the_output_and_earlier_results_are_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1)
    write_pictures(tmp_path / "out" / "overlays", 1)
    write_pictures(tmp_path / "earlier" / "overlays", 1)
    (tmp_path / "earlier" / "run.json").write_text("{}")
    (tmp_path / "earlier" / "results.jsonl").write_text("")
    found = folder(tmp_path, leave_out=tmp_path / "out")
    assert [item.source for item in found.items] == ["p000.png"]


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_not_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(InputError, match="is not a folder"):
        folder(tmp_path / name)


def test_all_pixels_arrive(tmp_path: Path) -> None:
    write_pictures(tmp_path, 3)
    frames = [got.frame for got in loaded(tmp_path).values()]
    assert all(frame is not None for frame in frames)
    assert not np.array_equal(frames[0], frames[1])


def test_results_do_not_go_into_the_scanned_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="scanned folder itself"):
        folder(tmp_path, leave_out=tmp_path / ".")
    assert folder(tmp_path, leave_out=tmp_path / "results").total == 1
