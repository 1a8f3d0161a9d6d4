"""Small drawings as inline SVG. Places along x are percentages, so that they fit any width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from runtime.record import Result
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.summary import SCORE_BINS, SPREAD_BINS, SPREAD_LIMIT, Summary
from runtime.reporting.wording import count, plain

PLOT_HEIGHT = 132
BASE = 108  # the row of a plot's axis


def share(value: float) -> str:
    return f"{100 * min(max(value, 0.0), 1.0):.2f}%"


def gauge(score: float, threshold: float | None, shown: str | None, referred: bool) -> Markup:
    """The score on a track from 0 to 1, with the threshold standing across it."""
    marks: list[Child] = [
        el("rect", x="0", y="4", width="100%", height="8", rx="4", class_="track"),
        el(
            "rect",
            x="0",
            y="4",
            width=share(score),
            height="8",
            rx="4",
            class_="fill refer" if referred else "fill",
        ),
    ]
    if threshold is not None:
        at = share(threshold)
        marks += [
            el("line", x1=at, x2=at, y1="0", y2="16", class_="mark"),
            _label(threshold, 28, f"threshold {shown}"),
        ]
    return _svg(30 if threshold is not None else 16, marks, "gauge", "score on a scale of 0 to 1")


def class_bar(probability: float, members: Sequence[float], scored: bool) -> Markup:
    """The ensemble's probability as a bar; every member as a tick, their span as a line."""
    marks: list[Child] = [
        el("rect", x="0", y="3", width="100%", height="8", rx="2", class_="track"),
        el(
            "rect",
            x="0",
            y="3",
            width=share(probability),
            height="8",
            rx="2",
            class_="fill scored" if scored else "fill",
        ),
    ]
    if members:
        marks.append(
            el(
                "line",
                x1=share(min(members)),
                x2=share(max(members)),
                y1="7",
                y2="7",
                class_="span",
            )
        )
    marks += [el("line", x1=share(p), x2=share(p), y1="2", y2="12", class_="tick") for p in members]
    return _svg(14, marks, "bar")


def score_histogram(summary: Summary) -> Markup:
    """Decided records solid, the others pale on top, and the threshold through both."""
    decided, others = summary.decided_scores, summary.undecided_scores
    highest = max((a + b for a, b in zip(decided, others, strict=True)), default=0) or 1
    marks: list[Child] = []
    for index, (solid, pale) in enumerate(zip(decided, others, strict=True)):
        first = _column(solid, highest)
        second = _column(pale, highest)
        place = {"x": share((index + 0.1) / SCORE_BINS), "width": share(0.8 / SCORE_BINS)}
        if solid:
            marks.append(el("rect", **place, y=BASE - first, height=first, class_="decided"))
        if pale:
            marks.append(
                el("rect", **place, y=BASE - first - second, height=second, class_="undecided")
            )
    marks += [*_axis(), el("text", f"{highest:,}", x="0", y="10", class_="label")]
    if summary.threshold is not None:
        at = share(summary.threshold)
        marks.append(el("line", x1=at, x2=at, y1="2", y2=BASE, class_="mark"))
        marks.append(_label(summary.threshold, 10, "threshold", gap=True))
    return _svg(PLOT_HEIGHT, marks, "plot", f"histogram of {count(summary.scored, 'score')}")


def spread_plot(summary: Summary) -> Markup:
    """Where the members disagree: a dot for each cell of scores and deviations, area by count."""
    most = max(summary.spread.values(), default=0)
    top_bin = max((row for _, row in summary.spread), default=0)
    rows = min(max(top_bin + 1, 5), SPREAD_BINS)
    marks: list[Child] = []
    for (column, row), many in sorted(summary.spread.items()):
        y = BASE - (row + 0.5) / rows * (BASE - 14)
        radius = 1.3 + 3.2 * math.sqrt(many / most)
        marks.append(
            el(
                "circle",
                cx=share((column + 0.5) / SCORE_BINS),
                cy=f"{y:.1f}",
                r=f"{radius:.1f}",
                class_="dot",
            )
        )
    limit = rows * SPREAD_LIMIT / SPREAD_BINS
    marks += [*_axis(), el("text", f"{limit:.2g}", x="0", y="10", class_="label")]
    if summary.threshold is not None:
        at = share(summary.threshold)
        marks.append(el("line", x1=at, x2=at, y1="2", y2=BASE, class_="mark"))
    return _svg(PLOT_HEIGHT, marks, "plot", "disagreement of the networks by score")


def stage_bar(stages: Mapping[str, float]) -> Markup:
    """Mean time of the steps of one image, end to end."""
    whole = sum(stages.values()) or 1.0
    start, marks = 0.0, []
    for index, value in enumerate(stages.values()):
        marks.append(
            el(
                "rect",
                x=share(start / whole),
                width=share(value / whole),
                y="0",
                height="14",
                class_=f"stage s{index % 6}",
            )
        )
        start += value
    return _svg(14, marks, "bar stages")


def share_rows(counts: Sequence[tuple[str, int]]) -> Markup:
    """Named counts as bars of their share of the whole."""
    whole = sum(many for _, many in counts) or 1
    rows = [
        el(
            "li",
            el("span", plain(name), class_="name"),
            _svg(
                14,
                [
                    el("rect", x="0", y="3", width="100%", height="8", rx="2", class_="track"),
                    el(
                        "rect",
                        x="0",
                        y="3",
                        width=share(many / whole),
                        height="8",
                        rx="2",
                        class_="fill",
                    ),
                ],
                "bar",
            ),
            el("span", f"{many:,}", class_="value"),
        )
        for name, many in counts
    ]
    return el("ul", rows, class_="bars")


def _column(many: int, highest: int) -> int:
    """A height that never lets a record disappear beside thousands."""
    return max(round(many / highest * (BASE - 14)), 2) if many else 0


def _axis() -> list[Markup]:
    return [
        el("line", x1="0", x2="100%", y1=BASE, y2=BASE, class_="axis"),
        *(_label(value, BASE + 16, f"{value:g}") for value in (0.0, 0.25, 0.5, 0.75, 1.0)),
    ]


def _label(place: float, y: int, text: str, gap: bool = False) -> Markup:
    """Text at a place of the scale that does not run over either end."""
    side = "start" if place < 0.15 else "end" if place > 0.85 else "middle"
    if gap:  # beside a line rather than on it
        side = "end" if place > 0.5 else "start"
        dx = -6 if place > 0.5 else 6
        return el("text", text, x=share(place), dx=dx, y=y, text_anchor=side, class_="label")
    return el("text", text, x=share(place), y=y, text_anchor=side, class_="label")


def _svg(height: int, marks: Sequence[Child], class_: str, label: str | None = None) -> Markup:
    """With a label it is an image to a screen reader; without, its text stands beside it."""
    if label is None:
        return el("svg", marks, width="100%", height=height, class_=class_, aria_hidden="true")
    return el(
        "svg", marks, width="100%", height=height, class_=class_, role="img", aria_label=label
    )


def members_of(result: Result, name: str) -> list[float]:
    return [member[name] for member in result.members.values() if name in member]
