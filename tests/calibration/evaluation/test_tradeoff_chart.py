"""Axes and marks of the drawing of areas by times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.evaluation import tradeoff_chart as chart
from calibration.evaluation.bootstrap import Estimate
from calibration.evaluation.charts import alone
from runtime.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"
TIMES = st.floats(0.01, 1e5)
AREAS = st.floats(0, 1)


@dataclass(frozen=True)
class Made:
    name: str
    ms: float
    area: Estimate
    machine: str = "an EPYC, 2 cores"

    @property
    def ends(self) -> list[float]:
        found = (self.area.low, self.area.value, self.area.high)
        return [end for end in found if end is not None]


def made(name: str, ms: float, value: float, machine: str = "an EPYC, 2 cores") -> Made:
    return Made(name, ms, Estimate(value, value - 0.02, value + 0.03, 200), machine)


def drawn(*points: Made) -> ET.Element:
    return ET.fromstring(alone(chart.drawing(points, "Mean AUC")))  # type: ignore[arg-type]


def texts(root: ET.Element) -> list[str | None]:
    return [one.text for one in root.iter(f"{SVG}text")]


@given(TIMES, TIMES)
def test_ticks_of_time_are_few_and_round_and_hold_what_is_drawn(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = chart.log_ticks(low, high)
    assert 2 <= len(ticks) <= chart.MOST_TICKS
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= low <= high <= ticks[-1]
    assert {f"{tick:e}".partition("e")[0] for tick in ticks} <= {"1.000000", "2.000000", "5.000000"}
    assert ticks[1] > low
    assert ticks[-2] < high or len(ticks) == 2


@given(AREAS, AREAS)
def test_ticks_of_areas_hold_what_is_drawn_and_stay_among_areas(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = chart.area_ticks(low, high)
    assert 2 <= len(ticks) <= chart.MOST_TICKS
    assert ticks == sorted(set(ticks))
    assert 0 <= ticks[0] <= low + 1e-9
    assert high - 1e-9 <= ticks[-1] <= 1


def test_ticks_one_knows() -> None:
    assert chart.log_ticks(3, 90) == [2, 5, 10, 20, 50, 100]
    assert chart.log_ticks(0.3, 20_000) == [0.1, 1, 10, 100, 1_000, 10_000, 100_000]
    assert chart.log_ticks(5, 5) == [5, 10]
    assert chart.area_ticks(0.72, 0.8) == [0.72, 0.74, 0.76, 0.78, 0.8]
    assert chart.area_ticks(1, 1) == [0.99, 1]


@pytest.mark.parametrize("place", [chart._across, chart._up])
@given(values=st.lists(st.floats(0.5, 1), min_size=2, max_size=5))
def test_more_is_further_along(
    place: Callable[[float, list[float]], float], values: list[float]
) -> None:
    ticks = [0.5, 1.0]
    placed = [place(value, ticks) for value in sorted(values)]
    assert placed == sorted(placed, reverse=place is chart._up)
    assert {place(0.5, ticks), place(1.0, ticks)} in (
        {chart.FRAME.left, chart.FRAME.right},
        {chart.FRAME.top, chart.FRAME.bottom},
    )


def test_each_name_and_each_machine_is_there_once() -> None:
    root = drawn(
        made("five networks", 60, 0.81),
        made("one & only <b>", 12, 0.8),
        made("small", 12, 0.8, "an H200"),
    )
    words = texts(root)
    for name in ("five networks", "one & only <b>", "small", "an EPYC, 2 cores", "an H200"):
        assert words.count(name) == 1, name
    assert root.get("class") == "chart"
    points = [one.get("class") for one in root.findall(f"{SVG}g/{SVG}path")]
    assert points == ["point", "point", "point second"]
    legend = [one.get("class") for one in root.findall(f"{SVG}path")]
    assert legend == ["point", "point second"]
    assert "0.810 (0.790 to 0.840), 60 ms" in ET.tostring(root, encoding="unicode")


def test_whiskers_are_as_long_as_intervals() -> None:
    bare = Made("bare", 20, Estimate(0.8, None, None, 3))
    root = drawn(made("first", 10, 0.8), bare)
    lines = [one for one in root.iter(f"{SVG}line") if one.get("class") == "whisker"]
    lengths = [float(one.get("y2", 0)) - float(one.get("y1", 0)) for one in lines]
    ticks = chart.area_ticks(0.78, 0.83)
    scale = (chart.FRAME.bottom - chart.FRAME.top) / (ticks[-1] - ticks[0])
    assert lengths == [pytest.approx(0.05 * scale, abs=0.2), 0]


def test_more_machines_than_marks_are_refused() -> None:
    points = [made(f"p{i}", 10 + i, 0.8, f"machine {i}") for i in range(len(chart.MARKS) + 1)]
    with pytest.raises(UsageError, match="more machines than marks"):
        drawn(*points)
    assert len(texts(drawn(*points[1:]))) > len(chart.MARKS)
