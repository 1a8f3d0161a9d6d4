"""The drawings of an evaluation: in the page, and each as a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.evaluation import counts, curves
from calibration.skin import shown
from calibration.wrong_masks import shown as wrong_masks
from runtime.out_folder import write_whole
from runtime.reporting.document import asset
from runtime.reporting.markup import Markup
from runtime.reporting.wording import plain

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation

FOLDER = "pictures"
MISTAKES = (
    "Were the most doubtful images left undecided, in the order of each doubt. Broken line: all "
    "decided. The dot, where there is one, is what the bundle's own limits leave decided."
)
ALONE = (
    "svg { --paper: #fff; --ink: #1b1d1e; --soft: #585d60; --rule: #e3e4e1; --track: #e9eae7; "
    "--fill: #8d9498; --accent: #0a666d; --on-accent: #fff; font-family: system-ui, sans-serif; "
    "background: #fff; } .label { fill: var(--soft); } .axis { stroke: var(--rule); } "
    ".mark { stroke: var(--ink); stroke-width: 2; }\n"
)
"""What a drawing takes from the page's style where there is no page."""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    title: str
    drawing: Markup
    note: str


def charts(evaluation: Evaluation) -> list[Chart]:
    return [*_of_the_score(evaluation), *_of_counts(evaluation)]


def _of_the_score(evaluation: Evaluation) -> list[Chart]:
    decides = evaluation.cases.decides
    return [
        Chart(
            "roc",
            "ROC",
            curves.roc(evaluation),
            "The band holds 95 of 100 resampled curves"
            + ("; the dot is the bundle's threshold." if decides else "."),
        ),
        Chart(
            "precision",
            "Precision and sensitivity",
            curves.precision_recall(evaluation),
            "Broken line: the share of positives among these images, on which precision depends.",
        ),
        Chart(
            "reliability",
            "Reliability",
            curves.reliability(evaluation),
            "Groups of about equal size with 95% intervals. On the broken line a probability comes "
            "true as often as it says. Grey: where the scores are.",
        ),
    ]


def _of_counts(evaluation: Evaluation) -> list[Chart]:
    judged, masks = evaluation.judged, evaluation.cases.masks
    found = []
    if evaluation.decisions is not None:
        kinds = (" or ".join(plain(name) for name in judged.positive), "others")
        found.append(
            Chart(
                "threshold",
                "At the threshold",
                counts.confusion(evaluation.decisions, kinds, ("at or above", "below")),
                "Rows are labels. Every image with a score, abstained ones too.",
            )
        )
    found.append(
        Chart(
            "confusion",
            "Likeliest class",
            counts.confusion(evaluation.confusion, judged.classes, judged.classes),
            "Rows are labels, columns the class of the highest probability. The decision does not "
            "look at it, but at the score.",
        )
    )
    line = "; the line is the threshold." if evaluation.cases.decides else "."
    found.append(
        Chart(
            "scores",
            "Scores",
            counts.scores(evaluation),
            f"Positives up, others down, each drawn to its own scale{line}",
        )
    )
    if (risk := evaluation.risk) is not None:
        drawn = curves.mistakes(evaluation, risk)
        found.append(Chart("mistakes", "Mistakes by share decided", drawn, MISTAKES))
    if masks.any:
        note = "Images by the Jaccard index of their outline; left of the line it counts as failed."
        found.append(Chart("outlines", "Outlines", counts.outlines(masks.jaccard), note))
    if evaluation.tones is not None and evaluation.cases.decides:
        drawn = shown.drawing(evaluation.tones)
        found.append(Chart("tones", "By tone of the skin", drawn, shown.NOTE))
    if evaluation.wrong_masks is not None:
        drawn = wrong_masks.drawing(evaluation.wrong_masks)
        found.append(Chart("wrong_masks", "With a wrong mask", drawn, wrong_masks.NOTE))
    return found


def write_charts(evaluation: Evaluation, folder: Path) -> None:
    (folder / FOLDER).mkdir(exist_ok=True)
    for chart in charts(evaluation):
        write_whole(folder / FOLDER / f"{chart.name}.svg", alone(chart.drawing))


def alone(drawing: Markup) -> bytes:
    """The drawing as a file of its own, which brings the style that a page would have."""
    style = f"<style>{ALONE}{asset('chart.css', 'calibration.evaluation')}</style>"
    opening, _, rest = drawing.partition(">")
    return f'{opening} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'.encode()
