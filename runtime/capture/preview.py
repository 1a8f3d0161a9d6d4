"""`--preview`: the live picture in a window on the device's own display; results in its place.

Space or Enter captures, Escape or q ends. A result stands alone: beside a living picture it could
be taken for that of the patient who is seen. What a score means is always written below.
"""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from runtime.closing import Closing
from runtime.errors import BackendError, UsageError
from runtime.overlay import draw_overlay, outlined, split_overlay
from runtime.preprocess import Image
from runtime.reporting.wording import score_and_threshold, verdict
from runtime.screen import meaning

if TYPE_CHECKING:
    from typing_extensions import Self

    from runtime.bundle import Bundle
    from runtime.capture.camera import Camera
    from runtime.capture.loop import Captured, View

Wish = Literal["capture", "end"]
TITLE = "dermedge"
WIDTH, HEIGHT, PANEL = 960, 720, 190  # of the picture's place, and of the words below
FRAME_SECONDS = 0.04  # at most, that a window waits for a frame before it looks for keys
CAPTURE_KEYS, END_KEYS = (ord(" "), 13, 10), (27, ord("q"))
END, KEYS = "Esc: end", "Space: capture    Esc: end"
GO_ON = "Space: back to the live picture    Esc: end"
INK, PAPER, FAINT = 26, (255, 255, 255), (168, 168, 168)  # no colours beside that of skin
FONT, LINE, MOST_LINES = cv2.FONT_HERSHEY_SIMPLEX, 26, 4
BIG, SMALL = (0.75, 70), (0.55, 96)  # letters' size, and how many fit in a line
TRIAL = "import cv2; cv2.namedWindow('dermedge', cv2.WINDOW_NORMAL); cv2.waitKey(1)"
TRIAL_SECONDS = 30.0


def check_window() -> None:
    """Tried in a process of its own: without a display, the library of windows ends its process."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError(
            "A window needs a display.",
            got="neither DISPLAY nor WAYLAND_DISPLAY",
            expected="a terminal on the device's own desktop",
            remedy="--web 127.0.0.1:8080  shows the same in a browser",
        )
    try:
        done = subprocess.run(
            [sys.executable, "-c", TRIAL],
            capture_output=True,
            text=True,
            check=False,
            timeout=TRIAL_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise BackendError("The display does not answer.", got=os.environ.get("DISPLAY")) from exc
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise BackendError(
            "OpenCV cannot open a window here.",
            got=said[-1] if said else f"status {done.returncode}",
            expected="a display that can be reached, and an OpenCV with windows",
            remedy="pip uninstall opencv-python-headless && pip install --force-reinstall "
            "opencv-python; or --web 127.0.0.1:8080",
        )


class Preview(Closing):
    """Belongs to one thread. Use it in a `with`."""

    def __init__(self, camera: Camera, bundle: Bundle) -> None:
        self._camera = camera
        self._meaning = meaning(bundle)
        self._seen = 0
        self._trouble = ""
        self._result: Image | None = None  # stays until a key

    def __enter__(self) -> Self:
        # Without the tools that some windows have: they would save pictures beside the store.
        plain = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(TITLE, plain)
        cv2.resizeWindow(TITLE, WIDTH, HEIGHT + PANEL)
        return self

    def close(self) -> None:
        cv2.destroyWindow(TITLE)

    def show(self, view: View) -> Wish | None:
        """What there is now; what was asked for by a key, or by closing the window."""
        waited = self._result is None and self._show_live(view)
        key = cv2.waitKey(1 if waited else round(FRAME_SECONDS * 1e3)) & 0xFF
        if key in END_KEYS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return "end"
        if key not in CAPTURE_KEYS:
            return None
        if self._result is not None:
            self._result, self._seen = None, 0
            return None
        self._trouble = ""
        return "capture"

    def captured(self, number: int, captured: Captured) -> None:
        result = captured.analysis.result
        words, sentence = verdict(result)
        if result.score is not None:
            score, threshold = score_and_threshold(result.score, result.threshold)
            words += f"    score {score}" + (f", threshold {threshold}" if threshold else "")
        lines = [words, sentence, f"Kept as capture {number}.    {GO_ON}"]
        sheet = draw_overlay(captured.frame, captured.analysis)
        parts = split_overlay(sheet)  # its caption says less than the words here
        picture = sheet if parts is None else np.hstack(parts)
        self._result = drawn(picture, lines, self._meaning)
        self._trouble = ""
        cv2.imshow(TITLE, self._result)

    def not_captured(self, why: str) -> None:
        self._result, self._trouble, self._seen = None, why, 0

    def _show_live(self, view: View) -> bool:
        """Whether it has waited for a frame.

        Without a live camera there is no picture: an old one would be taken for what is seen.
        """
        camera = view.camera
        if camera.state != "live":
            lines = [": ".join(filter(None, (camera.state, camera.why))), self._trouble, END]
            cv2.imshow(TITLE, drawn(None, lines, self._meaning))
            return False
        with self._camera.newest(self._seen, FRAME_SECONDS) as frame:
            if frame is None:
                return True
            self._seen = frame.number
            look = view.look
            picture = outlined(frame.pixels, look.lesion if look else None, WIDTH)
        hints = "" if look is None else " ".join(look.hints) or "ready"
        cv2.imshow(TITLE, drawn(picture, [hints, self._trouble, KEYS], self._meaning))
        return True


def drawn(picture: Image | None, lines: list[str], small: str) -> Image:
    """The picture as large as fits, and the words below it: the first stands out."""
    sheet: Image = np.full((HEIGHT + PANEL, WIDTH, 3), INK, dtype=np.uint8)
    if picture is not None:
        rows, columns = picture.shape[:2]
        scale = min(HEIGHT / rows, WIDTH / columns)
        width, height = max(round(columns * scale), 1), max(round(rows * scale), 1)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
        fitted = cv2.resize(picture, (width, height), interpolation=way)
        sheet[top : top + height, left : left + width] = fitted
    forms = [(BIG, lines[0]), *((SMALL, line) for line in lines[1:])]
    words = [(size, row) for (size, most), line in forms for row in wrap(line, most)[:2]]
    for number, (size, row) in enumerate(words[:MOST_LINES], start=1):
        _write(sheet, row, HEIGHT + number * LINE, size, PAPER)
    for number, row in enumerate(wrap(small, SMALL[1])[::-1]):
        _write(sheet, row, HEIGHT + PANEL - 16 - number * LINE, SMALL[0], FAINT)
    return sheet


def _write(sheet: Image, text: str, y: int, size: float, colour: tuple[int, int, int]) -> None:
    """OpenCV's letters are those of ASCII."""
    cv2.putText(
        sheet, text.encode("ascii", "replace").decode(), (14, y), FONT, size, colour, 1, cv2.LINE_AA
    )
