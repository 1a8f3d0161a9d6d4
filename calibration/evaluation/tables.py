"""The tables of the page: figures, subgroups, outcomes, what is unknown, what was missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.evaluation.bootstrap import Estimate
from calibration.evaluation.prevalence import PREVALENCES
from calibration.evaluation.subgroups import SHOWN
from calibration.evaluation.wording import note_of, span_of, title_of, value_of
from calibration.intervals import wilson
from runtime.reporting.markup import Child, Markup, el
from runtime.reporting.plots import share
from runtime.reporting.wording import GROUPS, percent, plain

if TYPE_CHECKING:
    from calibration.evaluation.acquisition import Outside
    from calibration.evaluation.evaluation import Evaluation
    from calibration.evaluation.strangers import Stranger
    from calibration.evaluation.subgroups import Group

MISSED = 15
SPAN = "95% interval"


def table(
    head: Sequence[str], body: Sequence[Child], *, words: str = "", full: bool = False
) -> Markup:
    """`words` names a column of text, which is not set to the right as numbers are."""
    names = [el("th", n, scope="col", class_="left" if n == words else None) for n in head]
    class_ = "figures full" if full else "figures"
    grid = el("table", el("thead", el("tr", names)), el("tbody", body), class_=class_)
    return el("div", grid, class_="scroll")


def entry(name: Child, *cells: Child) -> Markup:
    return el("tr", el("th", name, scope="row"), [_cell(cell) for cell in cells])


def _cell(content: Child) -> Markup:
    if isinstance(content, Markup):
        return content if content.startswith("<td") else el("td", content, class_="wide")
    return el("td", content, class_="n")


def figures(evaluation: Evaluation) -> Markup:
    rows = [
        entry(
            title_of(name),
            value_of(estimate),
            span_of(estimate),
            f"{estimate.n:,}",
            el("td", note_of(name), class_="soft"),
        )
        for name, estimate in evaluation.shown.items()
    ]
    return table(("Figure", "Value", SPAN, "n", "What it is"), rows, words="What it is")


def prevalence(evaluation: Evaluation) -> Markup:
    rows = []
    for part in PREVALENCES:
        pair = [evaluation.figures[f"{kind}@{part:g}"] for kind in ("ppv", "npv")]
        cells = [words for one in pair for words in (value_of(one), span_of(one))]
        rows.append(entry(percent(part), *cells))
    interval = SPAN
    head = (
        "Positives",
        "Positive predictive value",
        interval,
        "Negative predictive value",
        interval,
    )
    return table(head, rows)


def outcomes(evaluation: Evaluation) -> Markup:
    kinds = [kind for kind in (*GROUPS, "unreadable") if _seen(evaluation, kind)]
    rows = [
        entry(plain(name), *(f"{many:,}" for many in (*map(seen.get, kinds), sum(seen.values()))))
        for name, seen in evaluation.outcomes.items()
    ]
    return table(("Label", *(GROUPS.get(kind, "Unreadable") for kind in kinds), "All"), rows)


def _seen(evaluation: Evaluation, kind: str) -> bool:
    return any(counts.get(kind) for counts in evaluation.outcomes.values())


def acquisition(found: Sequence[Outside]) -> Markup:
    rows = []
    for one in found:
        interval = wilson(one.outside, one.images)
        rows.append(
            entry(
                plain(one.measure) if one.measure else "Any of them",
                _limit_words(one),
                f"{one.outside:,}",
                percent(one.outside / one.images),
                f"{percent(interval.low)} to {percent(interval.high)}",
                f"{one.positives_outside:,}",
            )
        )
    return table(("Measure", "Limit", "Outside", "Share", SPAN, "Positives"), rows)


def _limit_words(one: Outside) -> str:
    if one.limit is None:
        return ""
    ends = (("at least", one.limit.min), ("at most", one.limit.max))
    return ", ".join(f"{words} {end:g}" for words, end in ends if end is not None)


def subgroups(evaluation: Evaluation) -> Markup:
    shown = [name for name in SHOWN if name in evaluation.figures]
    head = ["Group", "n", "Positive", *(t for n in shown for t in (title_of(n), ""))]
    rows: list[Child] = []
    for attribute, groups in evaluation.groups.items():
        title = el("th", attribute.capitalize(), scope="rowgroup", colspan=len(head))
        rows.append(el("tr", title, class_="part"))
        rows += [_group(group, shown, evaluation.figures) for group in groups]
    return table(head, rows, full=True)


def _group(group: Group, shown: Sequence[str], whole: dict[str, Estimate]) -> Markup:
    cells: list[Child] = [f"{group.n:,}", f"{group.positives:,}"]
    for name in shown:
        estimate = group.figures.get(name, Estimate(None, None, None, 0))
        cells += [value_of(estimate), interval_bar(estimate, whole[name].value)]
    return entry(group.name, *cells)


def interval_bar(estimate: Estimate, whole: float | None) -> Markup:
    """From 0 to 1: the interval, the value, and the value over all images as a broken line."""
    marks: list[Child] = [el("line", x1="0", x2="100%", y1=7, y2=7, class_="axis")]
    if whole is not None:
        marks.append(el("line", x1=share(whole), x2=share(whole), y1=0, y2=14, class_="whole"))
    if estimate.low is not None and estimate.high is not None:
        ends = {"x1": share(estimate.low), "x2": share(estimate.high)}
        marks.append(el("line", **ends, y1=7, y2=7, class_="reach"))
    if estimate.value is not None:
        marks.append(el("circle", cx=share(estimate.value), cy=7, r=3.5, class_="spot"))
    words = el("title", f"{SPAN}: {span_of(estimate)}")
    return el("svg", words, marks, width="100%", height=14, role="img")


def strangers(found: Sequence[Stranger]) -> Markup:
    rows = []
    for one in found:
        called = "–"
        if one.called is not None and one.scored:
            called = _share(one.called, one.scored)
        score = "–" if one.mean_score is None else f"{one.mean_score:.3f}"
        likeliest = ", ".join(f"{plain(k)} {n:,}" for k, n in one.likeliest.items() if n)
        cell = el("td", likeliest, class_="soft")
        decided = _share(one.decided, one.n)
        rows.append(entry(plain(one.label), f"{one.n:,}", called, decided, score, cell))
    head = ("Label", "n", "Scores as positive", "Decided", "Mean score", "Likeliest class")
    return table(head, rows, words="Likeliest class")


def _share(hits: int, total: int) -> str:
    interval = wilson(hits, total)
    return f"{percent(hits / total)} ({percent(interval.low)} to {percent(interval.high)})"


def missed(evaluation: Evaluation) -> Markup | None:
    """The positives of the lowest scores: what to look at first."""
    cases = evaluation.cases
    positives = [row for row in cases.rows if cases.malignant[row] and not cases.called[row]]
    if not positives or not cases.decides:
        return None
    lowest = sorted(positives, key=lambda row: cases.scores[row])[:MISSED]
    rows = []
    for row in lowest:
        sample = cases.judged.table[int(row)]
        jaccard = cases.masks.jaccard[row]
        outline = "–" if np.isnan(jaccard) else f"{jaccard:.2f}"
        status = GROUPS.get(cases.outcomes[row], cases.outcomes[row])
        cells = (f"{cases.scores[row]:.3f}", f"{cases.thresholds[row]:.3f}", status, outline)
        rows.append(entry(sample.id, *cells))
    return table(("Image", "Score", "Threshold", "Outcome", "Jaccard"), rows)
