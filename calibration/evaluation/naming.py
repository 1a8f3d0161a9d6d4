"""Where the names of points go in a drawing, so that none lies on another or on a mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runtime.errors import UsageError

LETTER, LINE = 7, 13  # of a name: as wide as a letter gets on average, and its height
MARK, REACH = 6, 9  # how far a mark reaches, and where its name begins
OVER_WHISKER = 40.0  # a name rather goes so many units away than over an interval


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return round((self.top + self.bottom) / 2, 1)

    def meets(self, other: Box) -> bool:
        aside = self.right <= other.left or other.right <= self.left
        return not (aside or self.bottom <= other.top or other.bottom <= self.top)


def place_names(
    names: Sequence[str],
    spots: Sequence[tuple[float, float]],
    whiskers: Sequence[Box],
    frame: Box,
) -> list[Box]:
    """Beside each spot, within the frame, as near as what is there already allows."""
    taken = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in spots]
    for name, spot in zip(names, spots, strict=True):
        places = _places(LETTER * len(name), spot, frame)
        free = [box for box in places if not any(box.meets(other) for other in taken)]
        if not free:
            raise UsageError(
                "The points lie too close to each other to name them all.",
                got=f"no room for {name}",
                remedy="draw some of them in a picture of their own",
            )
        taken.append(min(free, key=lambda box: _cost(box, spot[1], whiskers)))
    return taken[len(spots) :]


def _places(width: float, spot: tuple[float, float], frame: Box) -> Iterator[Box]:
    """To the right of the spot and to its left, from the frame's top to its bottom."""
    x, y = spot
    first = y - LINE / 2 - frame.top
    for left in (x + REACH, x - REACH - width):
        if left < frame.left or left + width > frame.right:
            continue
        top = frame.top + first % 1  # level with the spot, sooner or later
        while top + LINE <= frame.bottom:
            yield Box(left, top, left + width, top + LINE)
            top += 1


def _cost(box: Box, y: float, whiskers: Sequence[Box]) -> float:
    return abs(box.middle - y) + OVER_WHISKER * sum(box.meets(one) for one in whiskers)
