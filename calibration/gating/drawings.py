"""Scores of both sides as inline SVG: what moved, how far, and over which line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.plots import share

HEIGHT = 300
BINS = 40


@dataclass(frozen=True, slots=True)
class Point:
    """An image that both sides scored."""

    before: float
    after: float
    malignant: bool
    flipped: bool

    @property
    def kind(self) -> str:
        return ("malignant" if self.malignant else "benign") + (" flip" if self.flipped else "")


def scatter(points: Sequence[Point], thresholds: Sequence[float]) -> Markup:
    """Reference across, candidate up. What left the diagonal changed; the corners are flips."""
    marks: list[Child] = [_line(0, 0, 1, 1, "axis"), *_frame()]
    for threshold in thresholds:
        marks += [_line(threshold, 0, threshold, 1, "mark"), _line(0, threshold, 1, threshold,
                                                                  "mark")]  # fmt: skip
    marks += [_dot(p.before, p.after, p) for p in _flips_last(points)]
    return _svg(marks, "scatter of the candidate's score by the reference's")


def differences(points: Sequence[Point], thresholds: Sequence[float]) -> Markup:
    """Bland and Altman's plot: the change of a score by the mean of both. A trend is a bias."""
    reach = max([abs(p.after - p.before) for p in points] + [0.02]) * 1.1
    values = [p.after - p.before for p in points]
    mean = float(np.mean(values)) if values else 0.0
    spread = 1.96 * float(np.std(values)) if values else 0.0

    def height(change: float) -> float:
        return 0.5 + change / reach / 2

    marks: list[Child] = [*_frame(labels=False), _line(0, 0.5, 1, 0.5, "axis")]
    marks += [_line(t, 0, t, 1, "mark") for t in thresholds]
    marks += [
        _dot((p.before + p.after) / 2, height(p.after - p.before), p) for p in _flips_last(points)
    ]
    for value in (mean - spread, mean, mean + spread):
        marks.append(_line(0, height(value), 1, height(value), "limit"))
    for value in (reach, 0.0, -reach):
        marks.append(_text(0.005, height(value), f"{value:+.2f}" if value else "0"))
    return _svg(marks, "change of the score by the mean of both scores")


def histogram(points: Sequence[Point], thresholds: Sequence[float]) -> Markup:
    """Scores of some images, reference solid and candidate as an outline."""
    sides = [
        np.histogram(values, bins=BINS, range=(0.0, 1.0))[0]
        for values in ([p.before for p in points], [p.after for p in points])
    ]
    highest = max(int(side.max()) for side in sides) or 1
    marks: list[Child] = [*_frame()]
    for side, style in zip(sides, ("decided", "outline"), strict=True):
        for number, count in enumerate(side.tolist()):
            if count:
                tall = count / highest * (HEIGHT - 10)
                marks.append(
                    el("rect", x=share((number + 0.1) / BINS), width=share(0.8 / BINS),
                       y=f"{HEIGHT - tall:.1f}", height=f"{tall:.1f}", class_=style)
                )  # fmt: skip
    marks += [_line(t, 0, t, 1, "mark") for t in thresholds]
    marks.append(_text(0.005, 0.97, f"{highest}"))
    return _svg(marks, "histogram of both sides' scores")


def _flips_last(points: Sequence[Point]) -> list[Point]:
    """So that what matters lies on top of the crowd."""
    return sorted(points, key=lambda p: (p.flipped, p.malignant))


def _dot(x: float, y: float, point: Point) -> Markup:
    radius = "4" if point.flipped else "2.2"
    return el("circle", cx=share(x), cy=_y(y), r=radius, class_=f"at {point.kind}")


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return el("line", x1=share(x1), y1=_y(y1), x2=share(x2), y2=_y(y2), class_=style)


def _text(x: float, y: float, text: str) -> Markup:
    return el("text", text, x=share(x), y=f"{float(_y(y)) + 4:.1f}", class_="label")


def _frame(labels: bool = True) -> list[Child]:
    edges: list[Child] = [_line(0, 0, 1, 0, "axis"), _line(0, 0, 0, 1, "axis")]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        side = "start" if value == 0 else "end" if value == 1 else "middle"
        edges.append(
            el("text", f"{value:g}", x=share(value), y=HEIGHT + 16, text_anchor=side,
               class_="label")
        )  # fmt: skip
        if labels and value:
            edges.append(_line(0, value, 0.01, value, "axis"))
    return edges


def _y(value: float) -> str:
    return f"{HEIGHT - min(max(value, 0.0), 1.0) * HEIGHT:.1f}"


def _svg(marks: Sequence[Child], label: str) -> Markup:
    return el(
        "svg", marks, width="100%", height=HEIGHT + 22, class_="plot", role="img", aria_label=label
    )
