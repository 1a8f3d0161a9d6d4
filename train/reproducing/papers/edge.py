"""Our own recipe: what each of its choices does, on one member, and what each member adds."""

from __future__ import annotations

from train.reproducing.judges import by_area, paired, pooled
from train.reproducing.tables import PaperTable, Row

AREAS = ("melanoma", "mean")
MEMBERS = ("whole", "wide", "lesion")


def _row(what: str, variant: str, system: str = "together") -> Row:
    return Row(what, (variant,), {}, (variant,), system=system)


def _one(what: str, change: str) -> Row:
    return _row(what, f"one+{change}")


TABLES = (
    PaperTable(
        "One member, and one choice otherwise",
        AREAS,
        pooled(by_area),
        (
            _row("one member, the whole frame", "one"),
            _one("the same from other random numbers", "again"),
            _one("and from others", "once_more"),
            _one("twice as long", "longer"),
            _one("two thirds as long", "shorter"),
            _one("half the rate", "slower"),
            _one("larger changes to its images", "stronger"),
            _one("more dropout", "dropped"),
            _one("colours left as they are", "colours_as_they_are"),
            _one("without occlusions drawn onto its images", "no_occlusions"),
            _one("without a mean of the weights", "no_ema"),
            _one("statistics as training leaves them", "statistics_of_training"),
            _one("classes weigh the same", "no_weights"),
            _one("balanced sampling", "balanced"),
            _one("focal loss", "focal"),
            _one("without SE block", "no_se"),
            _one("with Zoom-SE instead", "zoom_se"),
            _one("the trunk cut earlier", "shallow"),
            _one("a small trunk from random weights", "from_scratch"),
            _one("224 × 224", "larger"),
            _one("hair and rulers painted over", "purified"),
            _row("more skin around the lesion", "one_wide"),
            _row("the lesion", "one_lesion"),
            _row("the lesion on black", "one_black"),
            _one("asked of its mirror image too", "mirrored"),
            _one("asked of all four", "mirrored_both_ways"),
            _one("logistic regression behind it, not told", "told+not_told"),
            _one("logistic regression behind it, told of the patient", "told"),
        ),
        paired(by_area),
    ),
    PaperTable(
        "The system, and one part otherwise",
        AREAS,
        pooled(by_area),
        (
            _row("all members, logistic regression, told of the patient", ""),
            _row("not told", "not_told"),
            _row("locally connected", "locally_connected"),
            _row("mean", "mean"),
            _row("asked of mirror images too", "mirrored"),
            _row("asked of all four", "mirrored_both_ways"),
            *(_row(f"without the member {name}", f"without_{name}") for name in MEMBERS),
            _row("with a fourth, the lesion on black", "with_black"),
            *(_row(f"the member {name} alone", "", name) for name in MEMBERS),
        ),
        paired(by_area),
    ),
)
