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
