"""Bisla et al.: with and without purification and made pictures, by areas and by specificity."""

from __future__ import annotations

from train.reproducing.heat_figure import PaperFigure
from train.reproducing.judges import by_area, by_class, by_specificity, pooled
from train.reproducing.tables import PaperTable, Row, printed
from train.stages.classifying import PURIFICATION

AREAS = ("melanoma", "mean")
SEVEN = ("accuracy", "sensitivity", "specificity")
SENSITIVITIES = ("0.82", "0.89", "0.95")
OTHERS = "another paper's system"
NO_ROW = "no row of the paper"


def _winner(what: str, figures: str) -> Row:
    return Row(what, (), printed(SENSITIVITIES, figures), note=OTHERS)


_BASELINE = Row(
    "Traditional baseline", ("baseline",), printed(AREAS, "0.805 0.873"), ("light_baseline",)
)
_PROPOSED = Row("Proposed model", ("",), printed(AREAS, "0.880 0.915"), ("light",))

FIGURES = (
    PaperFigure(
        "figures2_and_8",
        "Figures 2 and 8: VisualBackProp of the baseline and of the proposed model",
        (_BASELINE, _PROPOSED),
    ),
)

TABLES = (
    PaperTable(
        "Table 3: area of melanoma, and mean of melanoma and seborrheic keratosis",
        AREAS,
        pooled(by_area),
        (
            _BASELINE,
            _PROPOSED,
            Row(
                "Without made pictures",
                ("no_synthetic",),
                {},
                ("light+no_synthetic",),
                note=NO_ROW,
            ),
            Row(
                "Without purified copies",
                ("no_purified",),
                {},
                ("light+no_purified",),
                note=NO_ROW,
            ),
            Row("ISIC challenge winners", (), printed(AREAS, "0.874 0.911"), note=OTHERS),
        ),
    ),
    PaperTable(
        "Table 4: specificity for melanoma at a sensitivity",
        SENSITIVITIES,
        pooled(by_specificity(*SENSITIVITIES)),
        (
            _winner("Top AVG", "0.729 0.588 0.366"),
            _winner("Top SK", "0.727 0.555 0.404"),
            _winner("Top M", "0.747 0.590 0.395"),
            Row("Proposed model", ("",), printed(SENSITIVITIES, "0.697 0.648 0.492"), ("light",)),
            Row("Traditional baseline", ("baseline",), {}, ("light_baseline",), note=NO_ROW),
        ),
    ),
    PaperTable(
        "Table 6: seven classes, with and without purification at testing",
        SEVEN,
        pooled(by_class),
        (
            Row(
                "Without purification at testing",
                ("seven",),
                printed(SEVEN, "0.675 0.561 0.954"),
                ("seven+light_seven",),
                without=(PURIFICATION,),
            ),
            Row(
                "Our classification model",
                ("seven",),
                printed(SEVEN, "0.717 0.754 0.837"),
                ("seven+light_seven",),
            ),
        ),
    ),
)
