"""Confusion, scores and outlines: the drawings that count images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from calibration.evaluation.axes import picture, text
from calibration.evaluation.masks import FAIR_JACCARD
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.wording import plain

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation

Floats = npt.NDArray[np.float64]

CELL, LABELS, HEAD = 78, 112, 46
WIDTH, HEIGHT, FLOOR = 356, 132, 108  # of a histogram, and the row of its axis
BINS = 40


def confusion(counts: npt.NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]) -> Markup:
    """Shaded by the share of its row, so that rare classes are read as easily as common ones."""
    marks: list[Child] = []
    for place, name in enumerate(columns):
        x = LABELS + CELL * (place + 0.5)
        for line, word in enumerate(_broken(name)):
            marks.append(text(word, x, HEAD - 24 + 13 * line, "middle"))
    for down, name in enumerate(rows):
        y, total = HEAD + CELL * down, int(counts[down].sum())
        for line, word in enumerate([*_broken(name), f"n = {total:,}"]):
            marks.append(text(word, LABELS - 8, y + 30 + 14 * line, "end"))
        for place, count in enumerate(counts[down].tolist()):
            marks += _cell(LABELS + CELL * place, y, count, total)
    width, height = LABELS + CELL * len(columns) + 2, HEAD + CELL * len(rows) + 2
    return picture("Confusion matrix: rows are labels", width, height, marks)


def _broken(name: str) -> list[str]:
    """A long name on two lines."""
    words = plain(name).split(" ")
    return [words[0], " ".join(words[1:])] if len(words) > 1 and len(name) > 12 else [plain(name)]


def _cell(x: int, y: int, count: int, total: int) -> list[Child]:
    share = count / total if total else 0.0
    ink = "on-dark" if share > 0.5 else "number"
    middle, height = x + CELL / 2, y + CELL / 2
    square = {"x": x, "y": y, "width": CELL - 2, "height": CELL - 2}
    return [
        el("rect", **square, class_="cell"),
        el("rect", **square, class_="cell full", fill_opacity=f"{share:.2f}"),
        text(f"{count:,}", middle, height + 2, "middle", ink),
        text(f"{share:.0%}" if total else "–", middle, height + 20, "middle", f"{ink} small"),
    ]


def scores(evaluation: Evaluation) -> Markup:
    """Positives up, the others down, and the threshold through both."""
    cases = evaluation.cases
    values, positive = cases.scores[cases.rows], cases.malignant[cases.rows]
    ups, downs = (_bins(values[kind]) for kind in (positive, ~positive))
    middle, reach = HEIGHT / 2 - 6, HEIGHT / 2 - 20
    marks: list[Child] = []
    for counts, direction, class_ in ((ups, -1, "positive"), (downs, 1, "negative")):
        most = max(int(counts.max()), 1)
        for place, count in enumerate(counts.tolist()):
            if count:
                height = max(reach * count / most, 1.5)
                top = middle - height if direction < 0 else middle
                marks.append(_bar(place, top, height, class_))
    marks += [el("line", x1=0, x2=WIDTH, y1=middle, y2=middle, class_="axis"), *_scale(HEIGHT - 4)]
    limits = np.unique(cases.thresholds[cases.rows]) if cases.decides else np.array([])
    for limit in limits.tolist():
        x = round(WIDTH * limit, 1)
        marks.append(el("line", x1=x, x2=x, y1=8, y2=HEIGHT - 18, class_="mark"))
    return picture("Scores of positives, above, and of others, below", WIDTH, HEIGHT, marks)


def outlines(jaccard: Floats) -> Markup:
    known = jaccard[np.isfinite(jaccard)]
    counts = _bins(known)
    most = max(int(counts.max()), 1)
    marks: list[Child] = []
    for place, count in enumerate(counts.tolist()):
        if count:
            height = max((FLOOR - 14) * count / most, 1.5)
            marks.append(_bar(place, FLOOR - height, height, "negative"))
    x = round(WIDTH * FAIR_JACCARD, 1)
    marks += [
        el("line", x1=0, x2=WIDTH, y1=FLOOR, y2=FLOOR, class_="axis"),
        el("line", x1=x, x2=x, y1=4, y2=FLOOR, class_="mark"),
        text(f"{FAIR_JACCARD:g}", x - 5, 14, "end"),
        *_scale(FLOOR + 16),
    ]
    return picture("Jaccard index of the outlines", WIDTH, HEIGHT, marks)


def _bins(values: Floats) -> npt.NDArray[np.int64]:
    return np.histogram(values, bins=BINS, range=(0, 1))[0]


def _bar(place: int, top: float, height: float, class_: str) -> Markup:
    width = WIDTH / BINS
    return el(
        "rect",
        x=round(place * width + 0.5, 1),
        y=round(top, 1),
        width=round(width - 1, 1),
        height=round(height, 1),
        class_=class_,
    )


def _scale(y: float) -> list[Markup]:
    ends = {0.0: "start", 1.0: "end"}
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    return [text(f"{tick:g}", WIDTH * tick, y, ends.get(tick, "middle")) for tick in ticks]
