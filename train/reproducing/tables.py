"""A paper's table: its rows, which variant of a recipe each is, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from train.pipeline import Pipeline

TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Row:
    what: str  # as the paper calls it
    variants: tuple[str, ...]  # of the recipe, whose figures are averaged; "" is the recipe itself
    paper: dict[str, str]  # by column, as printed
    light: tuple[str, ...] = ()  # the variants that train without a GPU
    system: str = TOGETHER  # or a member's name, or another way to join them
    without: tuple[str, ...] = ()  # what is withheld when it is asked: metadata, or PURIFICATION
    note: str = ""


Judge = Callable[[Sequence["Pipeline"], Row, npt.NDArray[np.bool_]], dict[str, str]]
"""Of the runs of a row's variants, on some of their images: figures by column."""


Asked = tuple[Sequence["Pipeline"], Row]
Compare = Callable[[Asked, Asked], dict[str, str]]
"""Of a row's runs and the first row's, on the same images: by how much the figures differ."""


@dataclass(frozen=True, slots=True)
class PaperTable:
    title: str
    columns: tuple[str, ...]
    judge: Judge
    rows: tuple[Row, ...]
    compare: Compare | None = None  # where rows are one system with a part changed


def printed(columns: Sequence[str], figures: str) -> dict[str, str]:
    """A line of a paper's table by its columns; a dash where it has nothing."""
    pairs = zip(columns, figures.split(), strict=True)
    return {name: figure for name, figure in pairs if figure != "–"}
