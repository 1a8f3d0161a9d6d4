"""The tables and figures of the papers, by the name of the recipe that reruns them."""

from __future__ import annotations

from train.reproducing.heat_figure import PaperFigure
from train.reproducing.papers import bhardwaj, bisla, ding, edge, goel, zoome
from train.reproducing.tables import PaperTable

TABLES: dict[str, tuple[PaperTable, ...]] = {
    "bhardwaj": bhardwaj.TABLES,
    "bisla": bisla.TABLES,
    "ding": ding.TABLES,
    "edge": edge.TABLES,
    "goel": goel.TABLES,
    "zoome": zoome.TABLES,
}

FIGURES: dict[str, tuple[PaperFigure, ...]] = {
    "bisla": bisla.FIGURES,
    "goel": goel.FIGURES,
}
