"""Goel, Ko and Mishra: eleven ways to train a classifier, and two segmenters."""

from __future__ import annotations

from train.reproducing.heat_figure import PaperFigure
from train.reproducing.judges import by_balance, pooled
from train.reproducing.segmented import SEGMENTED, segmented
from train.reproducing.tables import PaperTable, Row, printed

COLUMNS = (
    "loss",
    "accuracy",
    "benign accuracy",
    "malignant accuracy",
    "balanced accuracy",
    "precision",
    "f1",
    "auc",
)
MASKS = "masks as members see them: the largest region, without holes"


def _row(number: int, name: str, what: str, figures: str) -> Row:
    variant = f"row{number}_{name}"
    paper = printed(COLUMNS, f"{figures} –")
    return Row(f"{number}: {what}", (variant,), paper, (f"light+{variant}",))


ROWS = (
    _row(1, "frozen_original", "frozen, original", "0.51 71% 70.8% 81.6% 76.2% 4.8% 9.1%"),
    _row(2, "frozen_segmented", "frozen", "0.66 64.2% 63.9% 78.2% 71% 3.8% 7.3%"),
    _row(3, "finetuned_original", "original", "0.49 77.5% 77.6% 75.9% 76.7% 5.8% 10.7%"),
    _row(4, "finetuned_segmented", "segmented", "0.49 74.9% 74.8% 79.3% 77.1% 5.5% 10.2%"),
    _row(5, "layer", "one more layer", "0.18 92.5% 93.7% 26.4% 60% 7.1% 11.2%"),
    _row(6, "last_block", "last dense block", "0.59 60.2% 59.6% 92% 75.8% 4% 7.7%"),
    _row(7, "augmented", "augmented", "0.45 78.2% 78.3% 70.1% 74.2% 5.6% 10.4%"),
    _row(8, "fast", "rate 1e-2", "0.67 67.1% 66.8% 80.5% 73.7% 4.3% 8.1%"),
    _row(9, "frozen_fast", "frozen, rate 1e-2", "0.57 71.9% 72% 70.1% 71% 4.4% 8.3%"),
    _row(10, "decayed", "weight decay 1e-3", "0.77 53.5% 52.8% 93.1% 73% 3.5% 6.7%"),
    _row(11, "weighted", "classes 2 to 1", "0.6 69.7% 69.5% 78.2% 73.8% 4.5% 8.5%"),
)

FIGURES = (
    PaperFigure(
        "figure2",
        "Figure 2: the last layer's activations, of whole pictures and of segmented ones",
        (ROWS[2], ROWS[3]),
    ),
)

TABLES = (
    PaperTable(
        "Table 2: the rows of table 1",
        COLUMNS,
        pooled(by_balance),
        ROWS,
    ),
    PaperTable(
        "Table 3: segmenters",
        SEGMENTED,
        segmented,
        (
            Row(
                "U-Net",
                ("unet_scratch",),
                printed(SEGMENTED, "0.09 0.91 92.3%"),
                ("light+light_unet_scratch",),
                note=MASKS,
            ),
            Row(
                "DenseNet",
                ("row4_finetuned_segmented",),
                printed(SEGMENTED, "0.06 0.94 93.8%"),
                ("light+row4_finetuned_segmented",),
                note=MASKS,
            ),
        ),
    ),
)
