"""ROC, precision and recall, reliability: the drawings of a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from calibration.evaluation.axes import across, band, dot, line, plot, text, up
from calibration.evaluation.families import bins_for, equal_mass
from calibration.evaluation.ranking import Ranking
from calibration.intervals import wilson
from runtime.reporting.markup import Child, Markup, el

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation
    from calibration.evaluation.risk import Risk

Floats = npt.NDArray[np.float64]

GRID = np.linspace(0, 1, 101)
SHOWN_FROM = 0.05  # of coverage
STYLES = ("first", "second", "third")  # of curves that share a plot


def roc(evaluation: Evaluation) -> Markup:
    cases = evaluation.cases
    rows = cases.rows
    ranking = Ranking(cases.malignant[rows], cases.scores[rows])
    sensitivity, alarms = ranking.rates(np.ones((1, len(rows))))
    marks: list[Child] = [
        band(GRID, *_roc_band(evaluation, ranking)),
        line([(0, 0), (1, 1)], "chance"),
        line(zip(alarms[0], sensitivity[0], strict=True), "curve"),
    ]
    if (cells := evaluation.decisions) is not None:
        (hit, missed), (alarm, left) = cells.tolist()
        marks.append(dot(alarm / (alarm + left), hit / (hit + missed)))
    return plot("ROC curve of the score", "1 − specificity", "sensitivity", marks)


def _roc_band(evaluation: Evaluation, ranking: Ranking) -> tuple[Floats, Floats]:
    """Of the resamples, sensitivity by specificity: where 95 of 100 curves pass."""
    curves = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in evaluation.bootstrap.weights(evaluation.cases.rows):
            for sensitivity, alarms in zip(*ranking.rates(weights), strict=True):
                if np.isfinite(sensitivity[-1]) and np.isfinite(alarms[-1]):
                    curves.append(np.interp(GRID, alarms, sensitivity))
    low, high = np.quantile(np.array(curves), [0.025, 0.975], axis=0)
    return np.asarray(low), np.asarray(high)


def precision_recall(evaluation: Evaluation) -> Markup:
    cases = evaluation.cases
    rows = cases.rows
    positive = cases.malignant[rows]
    ranking = Ranking(positive, cases.scores[rows])
    hits, alarms = (counts[0] for counts in ranking.counts(np.ones((1, len(rows)))))
    recall, precision = hits[1:] / hits[-1], hits[1:] / (hits + alarms)[1:]
    share = float(positive.mean())
    marks: list[Child] = [
        line([(0, share), (1, share)], "chance"),
        line(_steps(recall, precision), "curve"),
    ]
    if (cells := evaluation.decisions) is not None and cells[:, 0].sum():
        (hit, missed), (alarm, _) = cells.tolist()
        marks.append(dot(hit / (hit + missed), hit / (hit + alarm)))
    return plot("Precision by sensitivity", "sensitivity", "precision", marks)


def _steps(recall: Floats, precision: Floats) -> list[tuple[float, float]]:
    """As average precision counts: each gain of recall at the precision it was reached with."""
    start = np.concatenate([[0.0], recall[:-1]])
    ends = zip(start, recall, precision, strict=True)
    return [point for x0, x1, y in ends for point in ((x0, y), (x1, y))]


def mistakes(evaluation: Evaluation, risk: Risk) -> Markup:
    """A curve for each doubt, named where it starts; the dot is what the bundle leaves decided."""
    marks: list[Child] = []
    whole = float(risk.wrong.mean())
    marks.append(line([(0, whole), (1, whole)], "chance"))
    for number, doubt in enumerate(risk.doubts):
        coverage, wrong = risk.curve(doubt)
        kept = coverage >= SHOWN_FROM  # of a handful of images a share says nothing
        points = zip(coverage[kept].tolist(), wrong[kept].tolist(), strict=True)
        style, height = f"curve {STYLES[number]}", up(1) + 16 * (number + 1)
        sample = el("path", d=f"M{across(0.03)} {height - 4}h22", class_=style)
        marks += [line(points, style), sample, text(doubt, across(0.03) + 28, height)]
    decided = evaluation.cases.decided[evaluation.cases.rows]
    if decided.any() and not decided.all():
        marks.append(dot(float(decided.mean()), float(risk.wrong[decided].mean())))
    return plot("Wrong decisions by coverage", "share decided", "share of wrong decisions", marks)


def reliability(evaluation: Evaluation) -> Markup:
    """What came true by what was said, in groups of about the same size; bars are intervals."""
    cases = evaluation.cases
    said = cases.scores[cases.rows]
    true = cases.is_scored_class[cases.rows]
    marks: list[Child] = [*_histogram(said), line([(0, 0), (1, 1)], "chance")]
    for inside in equal_mass(said, bins_for(len(said))).T.astype(bool):
        count, hits = int(inside.sum()), int(true[inside].sum())
        place, share, interval = float(said[inside].mean()), hits / count, wilson(hits, count)
        x = across(place)
        title = el("title", f"{count} images: said {place:.3f}, came true {share:.3f}")
        marks += [
            el("line", x1=x, x2=x, y1=up(interval.low), y2=up(interval.high), class_="whisker"),
            el("g", title, dot(place, share)),
        ]
    return plot("Reliability of the probability", "probability said", "share that came true", marks)


def _histogram(values: Floats) -> list[Child]:
    """Faint, on the floor of the plot: where the scores are."""
    counts, edges = np.histogram(values, bins=25, range=(0, 1))
    most = max(int(counts.max()), 1)
    bars = []
    for count, start, stop in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        if count:
            top, left, right = up(0.2 * count / most), across(start), across(stop)
            height, width = round(up(0) - top, 1), round(right - left - 1, 1)
            bars.append(el("rect", x=left, y=top, width=width, height=height, class_="floor"))
    return [*bars]
