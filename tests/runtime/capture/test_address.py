"""`--camera SRC`, as people write it; what is said of it never holds a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.capture.address import parse_address
from runtime.errors import UsageError

SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#[]@:%"), min_size=6
)


@pytest.mark.parametrize(
    ("given_", "kind", "where", "name"),
    [
        ("csi://1", "csi", "1", "csi://1"),
        ("rtsp://cam.local/live", "rtsp", "rtsp://cam.local/live", "rtsp://cam.local/live"),
        ("http://[::1]:81/s", "http", "http://[::1]:81/s", "http://[::1]:81/s"),
        ("gst:v4l2src device=/dev/video9", "gst", "v4l2src device=/dev/video9", "gst:v4l2src"),
        ("synthetic:", "synthetic", "1280x720@30", "synthetic"),
        ("synthetic://640x480@5", "synthetic", "640x480@5", "synthetic"),
    ],
)
def test_forms(given_: str, kind: str, where: str, name: str) -> None:
    address = parse_address(given_)
    assert (address.kind, address.where, address.name) == (kind, where, name)


def test_recordings_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a\n.mp4").write_bytes(b"x")
    assert parse_address(str(tmp_path)).kind == "folder"
    assert parse_address(str(tmp_path / "a\n.mp4")).name == "a\\n.mp4"


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("", "no camera that it knows of"),
        ("7", "/dev/video7 is no camera"),
        ("/dev/null0", "is no camera"),
        ("nowhere.mp4", "is no camera"),
        ("ftp://host/x", "no address of a camera"),
        ("http:///x", "no address of a camera"),
        ("http://host:port/", "cannot be read"),
        ("rtsp://[", "cannot be read"),
        ("csi://left", "has a number"),
        ("gst:  ", "followed by a pipeline"),
        ("synthetic:big", "takes a size"),
        ("synthetic:640x480@0", "takes a size"),
    ],
)
def test_what_is_no_camera(
    given_: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runtime.capture.address.cameras", list)
    with pytest.raises(UsageError) as caught:
        parse_address(given_)
    assert said in str(caught.value)


def test_a_device_that_is_waited_for_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.capture.address.cameras", list)
    assert parse_address("", absent=True).where == "/dev/video0"
    assert parse_address("/dev/video77", absent=True).where == "/dev/video77"
    with pytest.raises(UsageError):
        parse_address("/dev/shm/..", absent=True)


def test_an_address_that_is_not_understood_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_address("rtsp://user:pa/ss@cam/live")
    assert "pa" not in str(caught.value).replace("password", "").replace("PATH", "")


@given(SECRETS, SECRETS)
def test_a_password_is_in_no_name(user: str, secret: str) -> None:
    for url in (f"rtsp://{user}:{secret}@10.0.0.9/x", f"http://10.0.0.9/x?key={secret}"):
        address = parse_address(url)
        assert address.where == url
        assert secret not in address.name.removeprefix("http://10.0.0.9/x")
        assert address.name.endswith("://10.0.0.9/x")
