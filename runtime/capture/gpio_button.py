"""A contact on a line of the board, as a Jetson's header has them: between the line and ground."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from runtime.capture.button import ButtonGone, Contact
from runtime.errors import missing_extra

if TYPE_CHECKING:
    from gpiod import LineRequest

SETTLE_SECONDS = 0.025  # without an edge, until the line counts as steady
MOST_EDGES = 100  # of one press: a line that never settles is a broken one


def library() -> ModuleType:
    try:
        import gpiod
    except ImportError as exc:
        raise missing_extra("gpiod", "camera", "A button on a pin of the board") from exc
    return gpiod


class LineContact(Contact):
    """A press is a line that has become steady at ground.

    The line settles here, because not every chip's driver can do it: so neither a contact that
    bounces when it is let go counts, nor a spike that a long cable picks up.
    """

    def __init__(self, request: LineRequest, line: int) -> None:
        self._request, self._line = request, line
        self._down = self._is_down()

    def pressed(self, seconds: float) -> bool:
        if not self._request.wait_edge_events(seconds):
            return False
        for _ in range(MOST_EDGES):
            self._request.read_edge_events(1)
            if not self._request.wait_edge_events(SETTLE_SECONDS):
                break
        else:
            return False
        before, self._down = self._down, self._is_down()
        return self._down and not before

    def _is_down(self) -> bool:
        return self._request.get_value(self._line) is library().line.Value.ACTIVE

    def close(self) -> None:
        self._request.release()


def opened(chip: str, line: str) -> Contact:
    gpiod = library()
    settings = gpiod.LineSettings(
        direction=gpiod.line.Direction.INPUT,
        edge_detection=gpiod.line.Edge.BOTH,
        bias=gpiod.line.Bias.PULL_UP,
        active_low=True,
    )
    with gpiod.Chip(str(_device(chip))) as found:
        try:
            number = found.line_offset_from_id(line)
        except (ValueError, FileNotFoundError) as exc:
            raise ButtonGone(
                f"{chip} has no line {line}.", expected="one that gpioinfo lists"
            ) from exc
        request = found.request_lines(config={number: settings}, consumer="dermedge")
    try:
        return LineContact(request, number)
    except BaseException:
        request.release()
        raise


def _device(chip: str) -> Path:
    """By its device, or by its label: numbers of chips may change from one start to the next."""
    gpiod = library()
    device = Path("/dev") / chip
    if device.exists():
        return device
    labels = []
    for each in sorted(Path("/dev").glob("gpiochip*")):
        try:
            with gpiod.Chip(str(each)) as found:
                labels.append(found.get_info().label)
        except OSError as exc:
            labels.append(f"{each} ({exc.strerror})")
            continue
        if labels[-1] == chip:
            return each
    raise ButtonGone(f"There is no GPIO chip {chip}.", got=", ".join(labels) or "none")
