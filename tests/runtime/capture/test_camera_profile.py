"""A camera's profile: what was written is read again, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.capture.camera_profile import Profile, read_profile
from runtime.errors import UsageError


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    profile = Profile(
        device="/dev/video0", format="MJPG", size=(1920, 1080), fps=30, pixels_per_mm=52.5
    )
    (tmp_path / "camera.yaml").write_text(profile.to_yaml(), encoding="utf-8")
    assert read_profile(tmp_path / "camera.yaml") == profile


@pytest.mark.parametrize(
    "text", ["", "- 1", "format: mjpg", "size: [0, 3]", "fps: -1", "zoom: 3", "a: [", "\x00"]
)
def test_what_is_no_profile(tmp_path: Path, text: str) -> None:
    (tmp_path / "camera.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no profile of a camera"):
        read_profile(tmp_path / "camera.yaml")
    with pytest.raises(UsageError, match="no profile of a camera"):
        read_profile(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "got", "expected"),
    [
        ("fps: -1", "fps: -1", "fps: Input should be greater than 0"),
        ("size: [0, 3]", "size.0: 0", "size.0: Input should be greater than 0"),
        ("controls: {gain: high}", "controls.gain: 'high'", "controls.gain: Input should be a"),
        ("zoom: 3", "zoom: something of the type int", "zoom: no such field; there are schema,"),
        ("zoom: 3\nfps: a", "fps: 'a'", "fps: Input should be a valid number"),
        ("- 1", "the file: something of the type list", "the file: fields and their values"),
        ("device: [rtsp://u:hidden@host/]", "device: something of", "device: Input should be a"),
        ("password: hidden", "password: something of", "password: no such field"),
        ("ann:hidden@host", "the file: something of", "the file: fields"),
        ("format: " + "x" * 500, "format: 'xxx", "format: String should match"),
        (
            "fps: 3\ndevice: [hidden",
            "got '<stream end>', line 2, column 16",
            "YAML with the fields",
        ),
    ],
)
def test_the_field_is_named_and_what_is_wrong_with_it(
    tmp_path: Path, text: str, got: str, expected: str
) -> None:
    (tmp_path / "camera.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_profile(tmp_path / "camera.yaml")
    error = caught.value
    assert got in (error.got or "")
    assert len(error.got or "") < 200
    assert expected in (error.expected or "")
    assert "dermedge doctor --cameras" in (error.remedy or "")
    assert "hidden" not in str(error)
