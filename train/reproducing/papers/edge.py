"""Our own recipe: what each of its choices does, on one member, and what joins the five."""

from __future__ import annotations

from train.reproducing.judges import by_area, pooled
from train.reproducing.tables import PaperTable, Row

AREAS = ("melanoma", "mean")


def _row(what: str, variant: str) -> Row:
    return Row(what, (variant,), {}, (variant,))


def _one(what: str, change: str) -> Row:
    return _row(what, f"one+{change}")


TABLES = (
    PaperTable(
        "One member, and one choice otherwise",
        AREAS,
        pooled(by_area),
        (
            _row("one member", "one"),
            _one("without a mean of the weights", "no_ema"),
            _one("without occlusions drawn onto its images", "no_occlusions"),
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
            _one("logistic regression behind it, not told", "told+not_told"),
            _one("logistic regression behind it, told of the patient", "told"),
        ),
    ),
    PaperTable(
        "Five members",
        AREAS,
        pooled(by_area),
        (
            _row("logistic regression, told of the patient", ""),
            _row("not told", "not_told"),
            _row("locally connected", "locally_connected"),
            _row("mean", "mean"),
        ),
    ),
)
