"""What the papers' tables say, row by row, and which variant of a recipe each row is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    what: str  # as the paper calls it
    variant: str | None  # of the recipe; "" is the recipe itself, None: not rerun here
    paper: dict[str, str]  # by column, as printed
    light: str | None = None  # the variant that trains without a GPU
    without: tuple[str, ...] = ()  # metadata that is withheld when it is asked
    note: str = ""


@dataclass(frozen=True, slots=True)
class PaperTable:
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...] = field(default=())


ZOOME_COLUMNS = ("accuracy", "sensitivity", "specificity", "auc")


def _zoome(printed: str) -> dict[str, str]:
    return dict(zip(ZOOME_COLUMNS, printed.split(), strict=False))


OTHERS = "another paper's network"
UNKNOWN = "no row of the paper: what it costs not to know"
ALEXNET = "78.50±4.61 78.28±6.98 76.81±4.04"
TABLES: dict[str, tuple[PaperTable, ...]] = {
    "zoome": (
        PaperTable(
            "Table I",
            ZOOME_COLUMNS,
            (
                Row(
                    "Maron et al.", None,
                    _zoome("77.77±5.04 81.63±6.65 76.97±4.58 85.57±2.13"), note=OTHERS,
                ),
                Row(
                    "Kaur et al.", None,
                    _zoome("79.88±4.38 80.77±7.01 79.17±4.23 85.85±2.01"), note=OTHERS,
                ),
                Row("AlexNet", "alexnet", _zoome(f"{ALEXNET} 85.02±1.54")),
                Row("ZooME", "", _zoome("84.59±2.94 85.95±2.81 84.63±3.03 92.23±1.69"), "light"),
                Row(
                    "w/o Zoom-SE", "no_zoom_se",
                    _zoome("80.34±4.16 82.30±4.77 80.32±3.22 86.78±2.15"), "light_no_zoom_se",
                ),
                Row(
                    "w/o Metadata", "no_metadata",
                    _zoome("84.16±2.36 85.62±3.70 84.44±2.32 91.66±1.27"), "light_no_metadata",
                ),
                Row("ZooME, age unknown", "", {}, "light", ("age",), UNKNOWN),
                Row("ZooME, sex unknown", "", {}, "light", ("sex",), UNKNOWN),
                Row("ZooME, site unknown", "", {}, "light", ("site",), UNKNOWN),
                Row("ZooME, nothing known", "", {}, "light", ("age", "sex", "site"), UNKNOWN),
            ),
        ),
        PaperTable(
            "Table II",
            ZOOME_COLUMNS[:3],
            (
                Row("ResNet50", "resnet50", _zoome("76.86±4.07 79.77±4.30 76.84±4.17")),
                Row(
                    "ResNet50 + Zoom-SE", "resnet50_zoom_se",
                    _zoome("79.39±4.66 81.03±5.07 79.62±4.53"),
                ),
                Row("AlexNet", "alexnet", _zoome(ALEXNET)),
                Row(
                    "AlexNet + metadata", "alexnet_metadata",
                    _zoome("80.93±3.01 79.05±3.60 79.54±5.47"),
                ),
            ),
        ),
    ),
}  # fmt: skip
