"""ZooME: its table of systems and ablations, and its table of other backbones."""

from __future__ import annotations

from train.reproducing.judges import by_youden, over_folds
from train.reproducing.tables import PaperTable, Row, printed

COLUMNS = ("accuracy", "sensitivity", "specificity", "auc")
ALEXNET = "78.50±4.61 78.28±6.98 76.81±4.04"
OTHERS = "another paper's network"
UNKNOWN = "no row of the paper: what it costs not to know"


def _first(what: str, variant: str, figures: str, *light: str) -> Row:
    return Row(what, (variant,), printed(COLUMNS, figures), light)


def _unknown(what: str, *without: str) -> Row:
    return Row(f"ZooME, {what} unknown", ("",), {}, ("light",), without=without, note=UNKNOWN)


def _second(what: str, variant: str, figures: str) -> Row:
    return Row(what, (variant,), printed(COLUMNS[:3], figures))


TABLES = (
    PaperTable(
        "Table I",
        COLUMNS,
        over_folds(by_youden),
        (
            Row(
                "Maron et al.",
                (),
                printed(COLUMNS, "77.77±5.04 81.63±6.65 76.97±4.58 85.57±2.13"),
                note=OTHERS,
            ),
            Row(
                "Kaur et al.",
                (),
                printed(COLUMNS, "79.88±4.38 80.77±7.01 79.17±4.23 85.85±2.01"),
                note=OTHERS,
            ),
            _first("AlexNet", "alexnet", f"{ALEXNET} 85.02±1.54"),
            _first("ZooME", "", "84.59±2.94 85.95±2.81 84.63±3.03 92.23±1.69", "light"),
            _first(
                "w/o Zoom-SE",
                "no_zoom_se",
                "80.34±4.16 82.30±4.77 80.32±3.22 86.78±2.15",
                "light+no_zoom_se",
            ),
            _first(
                "w/o Metadata",
                "no_metadata",
                "84.16±2.36 85.62±3.70 84.44±2.32 91.66±1.27",
                "light+no_metadata",
            ),
            _unknown("age", "age"),
            _unknown("sex", "sex"),
            _unknown("site", "site"),
            _unknown("all", "age", "sex", "site"),
        ),
    ),
    PaperTable(
        "Table II",
        COLUMNS[:3],
        over_folds(by_youden),
        (
            _second("ResNet50", "resnet50", "76.86±4.07 79.77±4.30 76.84±4.17"),
            _second("ResNet50 + Zoom-SE", "resnet50_zoom_se", "79.39±4.66 81.03±5.07 79.62±4.53"),
            _second("AlexNet", "alexnet", ALEXNET),
            _second("AlexNet + metadata", "alexnet_metadata", "80.93±3.01 79.05±3.60 79.54±5.47"),
        ),
    ),
)
