"""Frames of a video: which ones, what they are called, and files that are no video."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import video as video_module
from runtime.errors import InputError
from runtime.sources import Loaded
from runtime.video import video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """20 frames at 10 a second, each brighter than the one before."""
    path = tmp_path / "my clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for i in range(20):
        writer.write(np.full((48, 64, 3), 10 * i + 5, np.uint8))
    writer.release()
    return path


def frames_of(path: Path, every: float) -> dict[str, Loaded]:
    return {item.source: item.load(lambda *_: False) for item in video(path, every).items}


@pytest.mark.parametrize(
    ("every", "numbers"),
    [
        (0, list(range(20))),
        (0.25, [0, 3, 5, 8, 10, 13, 15, 18]),
        (0.5, [0, 5, 10, 15]),
        (1, [0, 10]),
        (99, [0]),
    ],
)
def test_which_frames(clip: Path, every: float, numbers: list[int]) -> None:
    got = frames_of(clip, every)
    assert list(got) == [f"my clip.avi#frame={number}" for number in numbers]
    for number, loaded in zip(numbers, got.values(), strict=True):
        assert loaded.frame is not None
        assert abs(int(loaded.frame[20, 20, 0]) - (10 * number + 5)) <= 4
        assert loaded.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert video(clip, every).total == len(numbers)


def test_known_frames_are_not_given_again(clip: Path) -> None:
    def known(source: str, _sha256: str) -> bool:
        return source.endswith("=0")

    first, second = (item.load(known) for item in video(clip, 1).items)
    assert first.frame is None
    assert first.error is None
    assert second.frame is not None


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "folder.mp4", "empty.avi"])
def test_no_video(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("hello" * 100)
    (tmp_path / "empty.avi").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError) as caught:
        video(tmp_path / name, 1)
    assert caught.value.remedy


def test_a_video_that_ends_early_says_so(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 2 // 3])
    try:
        got = list(frames_of(clip, 0).values())
    except InputError:
        return  # this OpenCV does not open it at all
    assert got[-1].error is not None
    assert "ends early" in str(got[-1].error)


def test_a_rate_that_is_missing(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module.cv2, "CAP_PROP_FPS", video_module.cv2.CAP_PROP_POS_FRAMES)
    assert list(frames_of(clip, 0.5)) == ["my clip.avi#frame=0", "my clip.avi#frame=15"]
