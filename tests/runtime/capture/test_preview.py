"""The window, on a display that is made for it, with keys as a keyboard sends them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.capture.preview import HEIGHT, INK, PANEL, WIDTH, check_window, drawn
from runtime.errors import BackendError, UsageError
from runtime.preprocess import Image
from runtime.store.store import Store
from tests.runtime.capture.mjpeg_server import network_camera
from tests.runtime.capture.waiting import until
from tests.runtime.scans import bundle_at

NEEDED = ("Xvfb", "openbox", "xdotool")


@dataclass
class Display:
    name: str
    memory: Path  # what it shows, as an XWD file

    def run(self, *words: str) -> str:
        given = {**os.environ, "DISPLAY": self.name}
        done = subprocess.run(words, env=given, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def press(self, key: str) -> None:
        window = self.run("xdotool", "search", "--name", "^dermedge$").splitlines()[0]
        self.run("xdotool", "windowfocus", window)
        self.run("xdotool", "key", key)

    def picture(self) -> Image:
        data = self.memory.read_bytes()
        head, _, _, _, width, height = struct.unpack(">6I", data[:24])
        row, colours = struct.unpack(">I", data[48:52])[0], struct.unpack(">I", data[76:80])[0]
        pixels = np.frombuffer(data, np.uint8, row * height, head + 12 * colours)
        return np.ascontiguousarray(pixels.reshape(height, row // 4, 4)[:, :width, :3])


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    given, taken = os.pipe()
    words = ["Xvfb", "-displayfd", str(taken), "-screen", "0", "1100x1000x24", "-nolisten", "tcp"]
    # Without the last, a display whose only program has ended begins anew.
    words += ["-fbdir", str(tmp_path), "-noreset"]
    server = subprocess.Popen(words, pass_fds=(taken,), stderr=subprocess.DEVNULL)
    os.close(taken)
    with os.fdopen(given) as said:
        number = said.readline().strip()
    # Where no window manager is, Qt at times misses that its window is shown, and never paints it.
    manager = subprocess.Popen(
        ["openbox"], env={**os.environ, "DISPLAY": f":{number}"}, stderr=subprocess.DEVNULL
    )
    yield Display(f":{number}", tmp_path / "Xvfb_screen0")
    for process in (manager, server):
        process.terminate()
        process.wait()


def colourful(picture: Image) -> bool:
    """The picture of a lesion has colours; words, and the place of no picture, have none."""
    span = picture.max(axis=2).astype(int) - picture.min(axis=2)
    return bool((span > 40).mean() > 0.2)


class Window:
    def __init__(self, tmp_path: Path, display: Display, source: str) -> None:
        bundle_at(tmp_path / "bundle")
        words = ["--camera", source, "--bundle", tmp_path / "bundle", "--backend", "openvino"]
        words += ["--store", tmp_path / "store", "--preview", "--headless"]
        self.store = tmp_path / "store"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runtime.infer", *map(str, words)],
            env={**os.environ, "DISPLAY": display.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kept(self) -> int:
        if not (self.store / "store.db").exists():
            return 0
        with Store(self.store, writable=False) as store:
            return len(store.captures())


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"one of {NEEDED} is not installed")
def test_keys_in_the_window(tmp_path: Path, display: Display) -> None:
    with network_camera() as served:
        window = Window(tmp_path, display, served.url)
        try:
            until(lambda: colourful(display.picture()), "no live picture")
            shown = display.picture()
            display.press("space")
            until(lambda: window.kept() == 1, "no capture")
            until(lambda: stands(display), "no result")
            first = display.picture()
            assert not np.array_equal(first, shown)
            keep(tmp_path, "result", first)
            display.press("Return")
            until(lambda: not np.array_equal(first, display.picture()), "it is not live again")
            assert window.kept() == 1, "that key only went back"
            keep(tmp_path, "live", display.picture())
            served.way = "stalled"
            until(lambda: not colourful(display.picture()), "an old picture under a living window")
            keep(tmp_path, "stalled", display.picture())
            display.press("Return")
            time.sleep(1.0)
            assert window.kept() == 1
            display.press("Escape")
            assert window.process.wait(timeout=60) == 0
        finally:
            window.process.kill()
            said, _ = window.process.communicate()
    assert "Kept as capture 1" in said
    assert "There is no live picture" in said


def stands(display: Display) -> bool:
    """A result does; a live picture has the noise of a sensor."""
    before = display.picture()
    time.sleep(0.5)
    return np.array_equal(before, display.picture())


def keep(folder: Path, name: str, picture: Image) -> None:
    """For a person to look at."""
    if wanted := os.environ.get("DERMEDGE_SCREENSHOTS"):
        cv2.imwrite(str(Path(wanted) / f"preview-{name}.png"), picture)


@pytest.mark.parametrize("shape", [(240, 320), (1080, 1920), (900, 300), (1, 1)])
def test_any_picture_finds_its_place(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (60, 90, 200), np.uint8)
    sheet = drawn(picture, ["words", "more", ""], "what it means")
    assert sheet.shape == (HEIGHT + PANEL, WIDTH, 3)
    assert tuple(sheet[HEIGHT // 2, WIDTH // 2]) == (60, 90, 200)
    assert (sheet[HEIGHT:] > INK).any()


def test_the_longest_words_stay_in_their_place() -> None:
    lines = ["x" * 300, "why " * 80, "keys " * 40]
    sheet = drawn(None, lines, "What a score means, at length. " * 6)
    assert (sheet[:HEIGHT] == INK).all()
    assert (sheet[-8:] == INK).all()


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UsageError, match="needs a display") as caught:
        check_window()
    assert "--web" in str(caught.value)


@pytest.mark.slow
def test_a_display_that_is_not_there_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of windows would end its process; it is not ours."""
    monkeypatch.setenv("DISPLAY", ":9876")
    with pytest.raises(BackendError, match="cannot open a window") as caught:
        check_window()
    assert "opencv-python-headless" in str(caught.value)


def test_an_opencv_without_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As opencv-python-headless fails."""
    trial = "import cv2; raise cv2.error('The function is not implemented. Rebuild the library')"
    monkeypatch.setattr("runtime.capture.preview.TRIAL", trial)
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(BackendError, match="cannot open a window") as caught:
        check_window()
    assert "Rebuild the library" in str(caught.value.got)
