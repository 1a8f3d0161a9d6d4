"""Wrong masks as a drawing, as a table and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from calibration.evaluation.axes import picture, text
from calibration.evaluation.tables import SPAN, entry, table
from calibration.evaluation.wording import span_of, value_of
from calibration.wrong_masks.changes import OWN, TITLES
from calibration.wrong_masks.figures import MaskRow, WrongMasks
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.wording import percent

if TYPE_CHECKING:
    from rich.console import Console

    from calibration.evaluation.bootstrap import Estimate

TOP, STEP, BAR = 34, 22, 12
LEFT, DECIDED, GAP, MOVED = 136, 76, 22, 106  # widths: names, bars, between, differences
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between marks on the axis of differences
MARKS = 3  # of them at most, beside the first

NOTE = (
    "Left: images that are still decided (coloured), abstained (grey) or not judged (pale). Right: "
    "how far the AUC of all scores moves from the own mask's, with its 95% interval."
)
MEANING = (
    "What happens after a segmenter that is wrong: the same chain judges each image again, with "
    "its own mask replaced, as if that had been found and nothing else. Masks grow and shrink by "
    "so much of their box, about its middle, and are shifted by so much of it along both sides; "
    "another image's is drawn by lot. What quality limits and abstention catch is not decided; a "
    "wrong mask that is still decided is one that nobody notices."
)
DECIDED_NOTE = (
    "Decisions that turn, to refer or away from it, are of images that are decided with both "
    "masks; in brackets the positives among those that are no longer referred."
)
SCORED_NOTE = (
    "AUC is of all images with a score, abstained and rejected ones too. Its change is from the "
    "own mask's on the same images, by the same resamples. The score moves by so much in the "
    "median, up or down."
)


def drawing(found: WrongMasks) -> Markup:
    ticks = _ticks([end for row in found.rows for end in _ends(row.difference)])
    right, floor = LEFT + DECIDED + GAP, TOP + STEP * len(found.rows)

    def across(value: float) -> float:
        return round(right + MOVED * (value - ticks[0]) / (ticks[-1] - ticks[0]), 1)

    marks: list[Child] = [text("Decided", LEFT, 12), text("Change of AUC", right, 12)]
    for tick in ticks:
        x, class_ = across(tick), "grid" if tick else "chance"
        marks.append(el("line", x1=x, x2=x, y1=TOP - 10, y2=floor, class_=class_))
        marks.append(text(f"{tick:+g}" if tick else "0", x, floor + 14, "middle"))
    for place, row in enumerate(found.rows):
        y = TOP + STEP * place
        marks += [text(TITLES[row.name], LEFT - 8, y + 10, "end"), *_bar(row, y)]
        if row.name != OWN:
            marks += _dot(row.difference, across, y + BAR / 2)
    label = "Share of images still decided, and change of the AUC, by mask"
    return picture(label, right + MOVED + 18, floor + 22, marks)


def _ends(estimate: Estimate) -> list[float]:
    return [end for end in (estimate.low, estimate.value, estimate.high) if end is not None]


def _ticks(values: list[float]) -> list[float]:
    """Round numbers from below all values to above them, 0 among them."""
    low, high = min([0.0, *values]), max([0.0, *values])
    for step in STEPS:
        first, last = math.floor(low / step), max(math.ceil(high / step), 1)
        if last - first <= MARKS:
            break
    return [round(place * step, 2) for place in range(first, last + 1)]


def _bar(row: MaskRow, y: float) -> list[Child]:
    parts, x = [], float(LEFT)
    for status, class_ in (("ok", "positive"), ("abstained", "negative")):
        width = round(DECIDED * row.statuses.get(status, 0) / row.images, 1)
        parts.append(el("rect", x=x, y=y, width=width, height=BAR, class_=class_))
        x = round(x + width, 1)
    whole = el("rect", x=LEFT, y=y, width=DECIDED, height=BAR, class_="cell")
    title = el("title", ", ".join(f"{many:,} {name}" for name, many in row.statuses.items()))
    return [el("g", title, whole, parts)]


def _dot(estimate: Estimate, across: Callable[[float], float], y: float) -> list[Child]:
    marks: list[Child] = []
    if estimate.low is not None and estimate.high is not None:
        ends = {"x1": across(estimate.low), "x2": across(estimate.high)}
        marks.append(el("line", **ends, y1=y, y2=y, class_="whisker"))
    if estimate.value is not None:
        marks.append(el("circle", cx=across(estimate.value), cy=y, r=3.5, class_="point"))
    return marks


WHY = "Why not decided"
OUTCOMES = ("ok", "abstained", "rejected")


def decisions(found: WrongMasks) -> Markup:
    rows: list[Child] = []
    for row in found.rows:
        cells = [f"{row.images:,}", *(f"{row.statuses.get(name, 0):,}" for name in OUTCOMES)]
        cells += ["", ""] if row.name == OWN else _turned(row)
        why = ", ".join(f"{reason} ({many:,})" for reason, many in row.why.items())
        rows.append(entry(TITLES[row.name], *cells, el("td", why, class_="soft")))
    head = ("Mask", "n", "Decided", "Abstained", "Rejected", "To refer", "Away", WHY)
    return table(head, rows, words=WHY)


def _turned(row: MaskRow) -> list[str]:
    turned = row.turned
    return [f"{turned.to_refer:,}", f"{turned.away:,} ({turned.positives_away:,})"]


def scores(found: WrongMasks) -> Markup:
    rows = []
    for row in found.rows:
        changed = ["", "", ""] if row.name == OWN else _changed(row)
        cells = (f"{row.auc.n:,}", value_of(row.auc), span_of(row.auc), *changed)
        rows.append(entry(TITLES[row.name], *cells))
    return table(("Mask", "n", "AUC", SPAN, "Change", SPAN, "Score moves"), rows)


def _changed(row: MaskRow) -> list[str]:
    difference, span = row.difference, "–"
    if difference.low is not None and difference.high is not None:
        span = f"{_signed(difference.low)} to {_signed(difference.high)}"
    return [
        "–" if difference.value is None else _signed(difference.value),
        span,
        "–" if row.median_move is None else f"{row.median_move:.3f}",
    ]


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0:+.3f}"  # what is nearly nothing has no minus


def show(console: Console, found: WrongMasks) -> None:
    """Without what the page has besides, so that it fits in 80 columns."""
    from rich.table import Table

    images = f"{found.own.images:,} images judged with other masks, {found.positives:,} positive"
    grid = Table(title=images, title_justify="left", box=None, pad_edge=False)
    for name in ("mask", "decided", "AUC", "change", SPAN, "turned", "moves"):
        grid.add_column(name, justify="left" if name == "mask" else "right", no_wrap=True)
    for row in found.rows:
        changed: list[str] = []
        if row.name != OWN:
            change, span, moves = _changed(row)
            changed = [change, span, f"{row.turned.to_refer + row.turned.away:,}", moves]
        decided = percent(row.statuses.get("ok", 0) / row.images)
        grid.add_row(TITLES[row.name], decided, value_of(row.auc), *changed)
    console.print(grid)
