"""Figures by tone as a drawing, as a table, as a file and on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.evaluation.axes import picture, text
from calibration.evaluation.tables import entry, table
from calibration.skin.by_tone import FEW, ByTone, Share, ToneRow
from runtime.out_folder import write_whole
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.wording import count

if TYPE_CHECKING:
    from rich.console import Console

    from calibration.skin.telling import Told

FILE = "tones.csv"
LEFT, TOP, STEP, HEIGHT = 50, 10, 26, 200
NOTE = (
    "The dot is the sensitivity, its distance from the top the share that is missed; lines are 95% "
    f"intervals. Pale: fewer than {FEW} positives, of which the number says how many."
)
CAUTION = (
    "A tone is that of the eighteen (docs/skin-tones.md) which the skin around the lesion is "
    "nearest to in this photograph. Lamp, exposure and white balance move it as much as skin does: "
    "a dark photograph of light skin counts as dark skin here. It is no skin type, and no row is "
    "about people of a colour. A row of few positives says nothing of how it differs from others."
)


def drawing(found: ByTone) -> Markup:
    """Sensitivity up, tones along, how many positives there are below."""
    right = LEFT + STEP * len(found.rows)
    marks: list[Child] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _up(tick)
        marks.append(el("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
        marks.append(text(f"{tick:g}", LEFT - 6, y + 4, "end"))
        marks.append(text(f"{1 - tick:g}", right + 6, y + 4))
    for place, one in enumerate(found.rows):
        marks += _column(LEFT + STEP * (place + 0.5), one)
    for words, x, turn in (("Sensitivity", 14, -90), ("Missed", right + 40, 90)):
        y = TOP + HEIGHT / 2
        marks.append(
            el("text", words, x=x, y=y, text_anchor="middle", class_="label",
               transform=f"rotate({turn} {x} {y})")
        )  # fmt: skip
    label = "Sensitivity and share of missed positives by tone of the skin, A the darkest"
    return picture(label, right + 50, TOP + HEIGHT + 52, marks)


def _up(value: float) -> float:
    return round(TOP + HEIGHT * (1 - value), 1)


def _column(x: float, one: ToneRow) -> list[Child]:
    floor = TOP + HEIGHT
    marks: list[Child] = [
        el("rect", x=x - 11, y=floor + 6, width=22, height=12, fill=one.tone.web),
        text(one.tone.name, x, floor + 32, "middle"),
        text(f"{one.sensitivity.count}", x, floor + 47, "middle"),
    ]
    ends = one.sensitivity.ends
    if ends is not None:
        value, low, high = ends
        pale = "0.4" if one.few else None
        marks.append(
            el("line", x1=x, x2=x, y1=_up(low), y2=_up(high), class_="whisker", opacity=pale)
        )
        marks.append(el("circle", cx=x, cy=_up(value), r=4.5, class_="point", opacity=pale))
    return marks


HEAD = ("Tone", "n", "Positive", "Sensitivity", "", "Missed", "", "Specificity", "", "")


def figures(found: ByTone) -> Markup:
    rows: list[Child] = []
    for one in found.rows:
        colour = el("rect", width=14, height=10, fill=one.tone.web)
        swatch = el("svg", colour, width=14, height=10, class_="swatch")
        shares = (one.sensitivity, one.sensitivity.rest, one.specificity)
        cells = [words for share in shares for words in _words(share)]
        numbers = (f"{one.images:,}", f"{one.sensitivity.count:,}")
        rows.append(entry((swatch, f" {one.tone.name}"), *numbers, *cells, _said(one)))
    return table(HEAD, rows, full=True)


def _said(one: ToneRow) -> str:
    if not one.sensitivity.count:
        return "no positives"
    return "few positives" if one.few else ""


def _words(share: Share) -> tuple[str, str]:
    if share.ends is None:
        return "–", "–"
    value, low, high = share.ends
    return f"{value:.3f}", f"{low:.3f} to {high:.3f}"


def _short(share: Share) -> str:
    if share.ends is None:
        return "–"
    value, low, high = (f"{end:.2f}" for end in share.ends)
    return f"{value} ({low}–{high})"


def known_words(found: ByTone) -> str:
    return (
        f"The tone was measured on {count(found.measured, 'image')}, is known from how the picture "
        f"was made of {found.made:,}, and cannot be told of {found.unknown:,}."
    )


def write_tones(told: Mapping[str, Told], folder: Path) -> None:
    """One line an image: its tone, and from which colour it was told."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(["id", "tone", "known", "lightness", "red_green", "yellow_blue", "distance"])
    for name, one in told.items():
        measured = ["made", *[""] * 4]
        if one.colour is not None:
            measured = ["measured", *(f"{value:.1f}" for value in (*one.colour, one.distance))]
        writer.writerow([name, one.tone.name, *measured])
    write_whole(folder / FILE, lines.getvalue().encode("utf-8", "backslashreplace"))


def show(console: Console, found: ByTone) -> None:
    from rich.table import Table

    grid = Table(title="By tone of the skin around the lesion, A the darkest", title_justify="left")
    for name in ("tone", "n", "positive", "sensitivity", "missed", "specificity"):
        grid.add_column(name, justify="left" if name == "tone" else "right")
    for one in found.rows:
        if one.images:
            shares = (one.sensitivity, one.sensitivity.rest, one.specificity)
            texts = [_short(share) for share in shares]
            grid.add_row(one.tone.name, f"{one.images:,}", f"{one.sensitivity.count:,}", *texts)
    console.print(grid)
    console.print(known_words(found), style="italic")
    few = [one.tone.name for one in found.rows if one.images and one.few]
    if few:
        console.print(f"Fewer than {FEW} positives: {', '.join(few)}. These say next to nothing.")
