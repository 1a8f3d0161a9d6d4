"""A plot of two shares as inline SVG: both axes from 0 to 1, styled by the page's classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from runtime.reporting.markup import Child, Markup, el

Floats = npt.NDArray[np.float64]

SIDE, LEFT, TOP, RIGHT, BOTTOM = 300, 46, 8, 10, 40
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def across(value: float) -> float:
    return round(LEFT + SIDE * value, 1)


def up(value: float) -> float:
    return round(TOP + SIDE * (1 - value), 1)


def plot(label: str, x: str, y: str, marks: Sequence[Child]) -> Markup:
    """`label` is what a screen reader says; `x` and `y` name the axes."""
    return picture(label, LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM, [*_axes(x, y), *marks])


def picture(label: str, width: float, height: float, marks: Sequence[Child]) -> Markup:
    return el(
        "svg",
        marks,
        viewBox=f"0 0 {width:g} {height:g}",
        class_="chart",
        role="img",
        aria_label=label,
    )


def _axes(x: str, y: str) -> list[Child]:
    marks: list[Child] = []
    for tick in TICKS:
        at, height = across(tick), up(tick)
        marks += [
            el("line", x1=at, x2=at, y1=up(0), y2=up(1), class_="grid"),
            el("line", x1=across(0), x2=across(1), y1=height, y2=height, class_="grid"),
            text(f"{tick:g}", at, up(0) + 16, "middle"),
            text(f"{tick:g}", LEFT - 6, height + 4, "end"),
        ]
    return [*marks, text(x, across(0.5), up(0) + 34, "middle"), upward(y, 12, TOP + SIDE / 2)]


def text(words: str, x: float, y: float, anchor: str = "start", class_: str = "label") -> Markup:
    return el("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def upward(words: str, x: float, y: float) -> Markup:
    """Text from below to above, for what the vertical axis is."""
    turn = f"rotate(-90 {x:g} {y:g})"
    return el("text", words, x=x, y=y, text_anchor="middle", class_="label", transform=turn)


def line(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """Straight from point to point; those that lie between two others of a step are left out."""
    places = [(across(x), up(y)) for x, y in points]
    kept = [
        place
        for number, place in enumerate(places)
        if number in (0, len(places) - 1) or not _between(places, number)
    ]
    return el("path", d="M" + "L".join(f"{x:g} {y:g}" for x, y in kept), class_=class_)


def _between(places: Sequence[tuple[float, float]], number: int) -> bool:
    before, here, after = places[number - 1 : number + 2]
    return any(before[axis] == here[axis] == after[axis] for axis in (0, 1)) or before == here


def band(x: Floats, low: Floats, high: Floats) -> Markup:
    there = [(across(a), up(b)) for a, b in zip(x, low, strict=True)]
    back = [(across(a), up(b)) for a, b in zip(x[::-1], high[::-1], strict=True)]
    path = "L".join(f"{a:g} {b:g}" for a, b in there + back)
    return el("path", d=f"M{path}Z", class_="band")


def dot(x: float, y: float, class_: str = "point") -> Markup:
    return el("circle", cx=across(x), cy=up(y), r=4.5, class_=class_)
