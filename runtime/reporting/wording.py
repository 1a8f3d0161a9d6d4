"""How numbers, names and decisions read, in one place for cards, table and statement."""

from __future__ import annotations

from datetime import datetime

from runtime.record import Result

GROUPS = {
    "refer": "Refer",
    "no-referral": "No referral",
    "score-only": "Score only",
    "abstained": "Abstained",
    "rejected": "Rejected",
    "error": "Error",
}
"""What a record counts as, in the order in which a reader wants to see it."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)  # fmt: skip  (strftime would speak the language of the machine)


def group_of(result: Result) -> str:
    if result.status != "ok":
        return result.status
    return {True: "refer", False: "no-referral", None: "score-only"}[result.refer]


def verdict(result: Result) -> tuple[str, str]:
    """The decision in a few words, and the sentence that explains it."""
    reason = one_line(result.reason or "no reason was recorded")
    sentences = {
        "refer": "The score is at or above the threshold.",
        "no-referral": "The score is below the threshold. This does not rule disease out.",
        "score-only": "This bundle has no threshold, so nothing is decided.",
        "abstained": f"The score is shown but not acted on: {reason}",
        "rejected": f"The picture cannot be judged: {reason}",
        "error": f"The image failed: {reason}",
    }
    words = {
        "no-referral": "No referral by this threshold",
        "score-only": "No threshold",
        "abstained": "Abstained: no decision",
        "rejected": "Picture rejected: no decision",
    }
    group = group_of(result)
    return words.get(group, GROUPS[group]), sentences[group]


def score_and_threshold(score: float, threshold: float | None) -> tuple[str, str | None]:
    """Three digits, or as many as keep a score and a threshold apart that differ."""
    if threshold is None:
        return f"{score:.3f}", None
    digits = 3
    while digits < 9 and score != threshold and f"{score:.{digits}f}" == f"{threshold:.{digits}f}":
        digits += 1
    return f"{score:.{digits}f}", f"{threshold:.{digits}f}"


def number(value: float) -> str:
    """A measured value: three digits that matter, and no exponent where none is needed."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    digits = 0 if round(share * 100, 1) == round(share * 100) else 1
    return f"{share:.{digits}%}"


def milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms"


def plain(name: str) -> str:
    """seborrheic_keratosis → seborrheic keratosis"""
    return name.replace("_", " ")


def one_line(text: str) -> str:
    """Prose may be broken into lines where it was written; a paragraph breaks its own."""
    return " ".join(text.split())


def count(many: int, noun: str) -> str:
    return f"{many:,} {noun}" + ("" if many == 1 else "s")


def moment(time: str | None) -> str | None:
    """14 July 2026, 09:11:24 UTC, from a time as records keep it; anything else as it is."""
    try:
        when = datetime.fromisoformat((time or "").replace("Z", "+00:00"))
    except ValueError:
        return time
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when.day} {MONTHS[when.month - 1]} {when:%Y, %H:%M:%S}{zone}"
