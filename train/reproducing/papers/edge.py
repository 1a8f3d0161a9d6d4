"""Our own recipe: what each of its choices does, on one member, and what joins the five."""

from __future__ import annotations

from train.reproducing.judges import by_area, pooled
from train.reproducing.tables import PaperTable, Row

AREAS = ("melanoma", "mean")


def _one(what: str, change: str) -> Row:
    variant = f"one+{change}" if change else "one"
    return Row(what, (variant,), {}, (variant,))


def _all(what: str, variant: str) -> Row:
    return Row(what, (variant,), {}, (variant,))


TABLES = (
    PaperTable(
        "One member, and one choice otherwise",
        AREAS,
        pooled(by_area),
        (
            _one("one member", ""),
            _one("without a mean of the weights", "no_ema"),
            _one("without occlusions drawn onto it", "no_occlusions"),
            _one("classes weigh the same", "no_weights"),
            _one("balanced sampling", "balanced"),
            _one("focal loss", "focal"),
            _one("twice as long", "longer"),
            _one("without SE block", "no_se"),
            _one("the trunk cut earlier", "shallow"),
            _one("the trunk cut later", "deeper"),
            _one("224 × 224", "larger"),
            _one("the whole frame", "whole_view"),
            _one("more skin around it", "wide_view"),
            _one("black background", "black_view"),
            _one("told of the patient", "told"),
        ),
    ),
    PaperTable(
        "Five members",
        AREAS,
        pooled(by_area),
        (
            _all("logistic regression, told of the patient", ""),
            _all("not told", "not_told"),
            _all("locally connected", "locally_connected"),
            _all("mean", "mean"),
        ),
    ),
)
