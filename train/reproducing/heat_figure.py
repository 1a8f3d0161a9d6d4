"""Where networks look, side by side, as papers show it: on images that they have not seen.

The images are those of the class that is looked for, evenly from the one that the last system is
surest of to the one that it is least sure of: nobody has picked them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.heatmap import MEANING, blended
from train.pipeline import Pipeline
from train.reproducing.said import Codes, said_by
from train.reproducing.tables import Row

IMAGES = 8


@dataclass(frozen=True, slots=True)
class PaperFigure:
    name: str  # of its file
    title: str
    rows: tuple[Row, ...]  # systems of one member each


def draw(file: Path, figure: PaperFigure, runs: Sequence[Pipeline]) -> None:
    """A column an image: what a system sees, and its heat map over it, one system below another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    said = [said_by(run, row).scores for run, row in zip(runs, figure.rows, strict=True)]
    last = runs[-1]
    positive = np.flatnonzero(last.table.targets == last.recipe.classes.index(last.recipe.score))
    shown = evenly(said[-1], positive, IMAGES)
    drawing = Figure(figsize=(1.5 * len(shown), 3.2 * len(runs) + 0.8), layout="constrained")
    FigureCanvasAgg(drawing)
    drawing.suptitle(f"{figure.title}\n{MEANING}", fontsize=9)
    bands = drawing.subfigures(len(runs), 1, squeeze=False)[:, 0]
    for band, run, row, scores in zip(bands, runs, figure.rows, said, strict=True):
        band.suptitle(row.what, fontsize=9)
        _band(band, run, shown, scores)
    drawing.savefig(file, dpi=100, metadata={"Software": None})


def evenly(scores: np.ndarray, rows: Codes, count: int) -> Codes:
    """Some of the rows, from the highest score to the lowest."""
    ranked = rows[np.argsort(-scores[rows], kind="stable")]
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return np.asarray(ranked[places])


def _band(band: Any, run: Pipeline, rows: Codes, scores: np.ndarray) -> None:
    (member,) = run.recipe.members
    seen, heats = run.classifying.looks(member, rows)
    grid = band.subplots(2, len(rows), squeeze=False)
    for row, picture, heat, (above, below) in zip(rows, seen, heats, grid.T, strict=True):
        above.imshow(picture[..., ::-1])
        below.imshow(blended(picture, heat)[..., ::-1])
        above.set_title(f"{run.recipe.score} {scores[row]:.2f}", fontsize=7)
        for axis in (above, below):
            axis.set_axis_off()
