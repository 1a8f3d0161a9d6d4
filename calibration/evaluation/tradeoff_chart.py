"""Bundles by what they tell apart and by how long a frame takes, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibration.evaluation.axes import picture, text, upward
from calibration.evaluation.naming import LINE, Box, place_names
from calibration.evaluation.wording import span_of, value_of
from runtime.errors import UsageError
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.wording import milliseconds

if TYPE_CHECKING:
    from calibration.evaluation.comparing import Point

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BELOW, ROW = 360, 300, 54, 8, 18, 40, 18
FRAME = Box(LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT)
MARKS = (  # a machine's, and its style
    ("M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z", "point"),
    ("M-4.5-4.5h9v9h-9Z", "point second"),
    ("M0-6L6 4.5h-12Z", "point third"),
    ("M0-6.5L6.5 0L0 6.5L-6.5 0Z", "point"),
    ("M0 6L6-4.5h-12Z", "point second"),
)
MOST_TICKS = 8
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)  # between marks on the axis of areas


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from below all values to above them: 1, 2, 5, 10, or where those are too many
    only powers of ten."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    found: list[float] = []
    for digits in ((1, 2, 5), (1,)):
        every = [float(f"{digit}e{power}") for power in powers for digit in digits]
        start = max(tick for tick in every if tick <= low)
        stop = min(tick for tick in every if tick >= high and tick > start)
        found = [tick for tick in every if start <= tick <= stop]
        if len(found) <= MOST_TICKS:
            break
    return found


def area_ticks(low: float, high: float) -> list[float]:
    first, last, step = 0, 1, 1.0
    for step in STEPS:
        last = max(math.ceil(high / step), 1)
        first = min(math.floor(low / step), last - 1)
        if last - first < MOST_TICKS:
            break
    return [round(place * step, 2) for place in range(first, last + 1)]


def drawing(points: Sequence[Point], area: str) -> Markup:
    """`area` names the measure."""
    machines = list(dict.fromkeys(point.machine for point in points))
    if len(machines) > len(MARKS):
        raise UsageError(
            "There are more machines than marks to tell them apart by.",
            got="; ".join(machines),
            expected=f"at most {len(MARKS)}",
            remedy="draw some of them in a picture of their own",
        )
    ends = [end for point in points for end in point.ends]
    times, areas = log_ticks(*_range([p.ms for p in points])), area_ticks(*_range(ends))
    spots = [(_across(p.ms, times), _up(p.area.value or 0.0, areas)) for p in points]
    whiskers = [
        Box(x - 1, _up(max(p.ends), areas), x + 1, _up(min(p.ends), areas))
        for p, (x, _) in zip(points, spots, strict=True)
    ]
    marks: list[Child] = [_grid(times, areas, area)]
    for one in whiskers:
        x = round(one.left + 1, 1)
        marks.append(el("line", x1=x, x2=x, y1=one.top, y2=one.bottom, class_="whisker"))
    names = place_names([point.name for point in points], spots, whiskers, FRAME)
    marks += [_name(*each) for each in zip(points, spots, names, strict=True)]
    marks += [_mark(p, *spot, machines) for p, spot in zip(points, spots, strict=True)]
    floor = TOP + HEIGHT + BELOW
    for row, machine in enumerate(machines):
        y = floor + ROW * (row + 0.5)
        marks += [_shape(row, LEFT + 6, y), text(machine, LEFT + 18, y + 4)]
    label = f"{area} by the median of milliseconds a frame"
    return picture(label, LEFT + WIDTH + RIGHT, floor + ROW * len(machines) + 4, marks)


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _across(ms: float, ticks: Sequence[float]) -> float:
    share = math.log(ms / ticks[0]) / math.log(ticks[-1] / ticks[0])
    return round(LEFT + WIDTH * share, 1)


def _up(value: float, ticks: Sequence[float]) -> float:
    return round(TOP + HEIGHT * (ticks[-1] - value) / (ticks[-1] - ticks[0]), 1)


def _grid(times: Sequence[float], areas: Sequence[float], area: str) -> list[Child]:
    marks: list[Child] = []
    for tick in times:
        x = _across(tick, times)
        marks.append(el("line", x1=x, x2=x, y1=TOP, y2=TOP + HEIGHT, class_="grid"))
        marks.append(text(f"{tick:,g}", x, TOP + HEIGHT + 16, "middle"))
    for tick in areas:
        y = _up(tick, areas)
        marks.append(el("line", x1=LEFT, x2=LEFT + WIDTH, y1=y, y2=y, class_="grid"))
        marks.append(text(f"{tick:g}", LEFT - 6, y + 4, "end"))
    words = "milliseconds a frame, median"
    marks.append(text(words, LEFT + WIDTH / 2, TOP + HEIGHT + 34, "middle"))
    return [*marks, upward(area, 12, TOP + HEIGHT / 2)]


def _name(point: Point, spot: tuple[float, float], box: Box) -> list[Child]:
    """Where it had to go far, a line leads to it."""
    x, y = spot
    end, anchor = (box.left, "start") if box.left > x else (box.right, "end")
    led = el("line", x1=x, y1=y, x2=end, y2=box.middle, class_="leader")
    return [
        led if abs(box.middle - y) > LINE else None,
        text(point.name, end, box.middle + 4, anchor, "label over"),
    ]


def _mark(point: Point, x: float, y: float, machines: Sequence[str]) -> Markup:
    words = f"{value_of(point.area)} ({span_of(point.area)}), {milliseconds(point.ms)}"
    return el("g", el("title", words), _shape(machines.index(point.machine), x, y))


def _shape(number: int, x: float, y: float) -> Markup:
    path, class_ = MARKS[number]
    return el("path", d=path, transform=f"translate({x:g} {y:g})", class_=class_)
