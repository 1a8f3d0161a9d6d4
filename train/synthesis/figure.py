"""The paper's figures 5B and 6 in one: how near generated pictures are to training images, and
which of them they are near to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.synthesis.nearest import Nearest
from train.views import Bytes

CLOSEST = 3  # pairs with the smallest error
QUARTERS = (0.25, 0.5, 0.75, 1.0)
BINS = 30


def write_figure(
    file: Path, nearby: Nearest, classes: Sequence[str], made: Bytes, images: Bytes
) -> None:
    """A band for each class: the histogram, and pictures above their nearest training images."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(classes))
    figure = Figure(figsize=(12, 3 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    bands = figure.subfigures(len(names), 1, squeeze=False)[:, 0]
    for band, name in zip(bands, names, strict=True):
        mine = np.flatnonzero(np.array(classes) == name)
        left, right = band.subfigures(1, 2, width_ratios=[2, 5])
        _histogram(left.subplots(), name, nearby.errors[mine])
        _pairs(right, mine, nearby, made, images)
    figure.savefig(file, dpi=90, metadata={"Software": None})


def _histogram(axis: Any, name: str, errors: np.ndarray) -> None:
    axis.hist(errors, bins=BINS, color="#2980b9")
    axis.set_title(f"{name}: {errors.mean():.3f} ± {errors.std():.3f}", fontsize=9)
    axis.set_xlabel("MSE to the nearest training image", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.locator_params(axis="x", nbins=5)


def _pairs(band: Any, mine: np.ndarray, nearby: Nearest, made: Bytes, images: Bytes) -> None:
    ranked = mine[np.argsort(nearby.errors[mine], kind="stable")]
    places = [*range(CLOSEST), *(round(share * (len(ranked) - 1)) for share in QUARTERS)]
    shown = [int(ranked[min(place, len(ranked) - 1)]) for place in places]
    grid = band.subplots(2, len(shown))
    for number, (above, below) in zip(shown, grid.T, strict=True):
        above.imshow(made[number][..., ::-1])
        below.imshow(images[nearby.rows[number]][..., ::-1])
        above.set_title(f"{nearby.errors[number]:.3f}", fontsize=8)
        for axis in (above, below):
            axis.set_axis_off()
