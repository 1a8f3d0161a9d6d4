"""Ways to judge a row, as the papers do: which figures, and with what interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from train.data.metrics import auc, bootstrap, mean_auc, ranked_classes
from train.pipeline import Pipeline
from train.reproducing.said import Codes, Flags, Said, said_by
from train.reproducing.shown import (
    change_with_interval,
    per_cent_with_interval,
    spread,
    with_interval,
)
from train.reproducing.tables import Asked, Compare, Judge, Row

Measure = Callable[[Said, Codes], dict[str, float]]
"""Of some images, by their rows."""


def pooled(measure: Measure, *, per_cent: bool = False) -> Judge:
    """All images at once, with a bootstrap interval of 95 %; the mean of several variants, over the
    same images."""

    def judge(pipelines: Sequence[Pipeline], row: Row, asked: Flags) -> dict[str, str]:
        cases = [said_by(pipeline, row) for pipeline in pipelines]
        rows = np.flatnonzero(asked)
        shown = per_cent_with_interval if per_cent else with_interval

        def means(some: Codes) -> dict[str, float]:
            each = [measure(case, some) for case in cases]
            return {name: float(np.mean([one[name] for one in each])) for name in each[0]}

        whole = means(rows)
        low, high = bootstrap(len(rows), lambda draw: list(means(rows[draw]).values()))
        each = zip(whole.items(), low, high, strict=True)
        return {name: shown(value, *bounds) for (name, value), *bounds in each}

    return judge


def paired(measure: Measure) -> Compare:
    """By how much a row is above the first, image by image: what is easy or hard is so for both,
    and so a difference has a narrower interval than either figure."""

    def compare(asked: Asked, first: Asked) -> dict[str, str]:
        cases = [[said_by(pipeline, row) for pipeline in runs] for runs, row in (asked, first)]
        rows = np.arange(len(cases[0][0].targets))

        def above(some: Codes) -> dict[str, float]:
            ours, theirs = ([measure(case, some) for case in each] for each in cases)
            return {
                name: float(np.mean([one[name] for one in ours]))
                - float(np.mean([one[name] for one in theirs]))
                for name in ours[0]
            }

        whole = above(rows)
        low, high = bootstrap(len(rows), lambda draw: list(above(rows[draw]).values()))
        each = zip(whole.items(), low, high, strict=True)
        return {name: change_with_interval(value, *ends) for (name, value), *ends in each}

    return compare


def over_folds(measure: Measure) -> Judge:
    """The mean over the folds and its deviation, in per cent; pooled where a part alone is asked
    about, of which a fold may have hardly any."""

    def judge(pipelines: Sequence[Pipeline], row: Row, asked: Flags) -> dict[str, str]:
        if not asked.all():
            return pooled(measure, per_cent=True)(pipelines, row, asked)
        (pipeline,) = pipelines
        said = said_by(pipeline, row)
        folds = [measure(said, np.flatnonzero(said.folds == f)) for f in np.unique(said.folds)]
        return {name: spread([fold[name] for fold in folds]) for name in folds[0]}

    return judge


def by_youden(said: Said, rows: Codes) -> dict[str, float]:
    """A class against the rest, called by a threshold of the other folds."""
    called, truth = said.called[rows], said.truth[rows]
    return {
        "accuracy": float((called == truth).mean()),
        "sensitivity": _share(called[truth]),
        "specificity": _share(~called[~truth]),
        "auc": auc(truth, said.scores[rows]),
    }


def by_largest(said: Said, rows: Codes) -> dict[str, float]:
    """The most probable class; precision, recall and F1 as means over the classes."""
    targets, probabilities = said.targets[rows], said.probabilities[rows]
    called = probabilities.argmax(axis=1)
    classes = range(probabilities.shape[1])
    each = [_precision_recall(called == code, targets == code) for code in classes]
    areas = [auc(targets == code, probabilities[:, code]) for code in classes]
    hard = [auc(targets == code, (called == code).astype(float)) for code in classes]
    return {
        "accuracy": float((called == targets).mean()),
        "precision": float(np.mean([precision for precision, _ in each])),
        "recall": float(np.mean([recall for _, recall in each])),
        "f1": float(np.mean([_f1(*pair) for pair in each])),
        "auc": float(np.mean(areas)),
        "auc of labels": float(np.mean(hard)),
    }


def of_one_class(said: Said, rows: Codes) -> dict[str, float]:
    """The class that is decided for; precision and recall of the one that is looked for."""
    targets, probabilities = said.targets[rows], said.probabilities[rows]
    called = said.chosen[rows]
    precision, recall = _precision_recall(called == said.score, said.truth[rows])
    true = probabilities[np.arange(len(rows)), targets]
    return {
        "accuracy": float((called == targets).mean()),
        "loss": float(-np.log(np.maximum(true, 1e-7)).mean()),
        "precision": precision,
        "recall": recall,
        "auc": auc(said.truth[rows], said.scores[rows]),
    }


def by_balance(said: Said, rows: Codes) -> dict[str, float]:
    """The more probable of two classes: what is right of each, and the mean of both."""
    one = of_one_class(said, rows)
    benign = _share(said.chosen[rows][~said.truth[rows]] != said.score)
    return {
        "loss": one["loss"],
        "accuracy": one["accuracy"],
        "benign accuracy": benign,
        "malignant accuracy": one["recall"],
        "balanced accuracy": (benign + one["recall"]) / 2,
        "precision": one["precision"],
        "f1": _f1(one["precision"], one["recall"]),
        "auc": one["auc"],
    }


def by_class(said: Said, rows: Codes) -> dict[str, float]:
    """The most probable class; sensitivity and specificity as means over the classes."""
    targets, probabilities = said.targets[rows], said.probabilities[rows]
    called = probabilities.argmax(axis=1)
    codes = range(probabilities.shape[1])
    return {
        "accuracy": float((called == targets).mean()),
        "sensitivity": float(np.mean([_share(called[targets == c] == c) for c in codes])),
        "specificity": float(np.mean([_share(called[targets != c] != c) for c in codes])),
    }


def by_area(said: Said, rows: Codes) -> dict[str, float]:
    """Of the class that is looked for, and the mean that ISIC 2017 ranked by."""
    targets, probabilities = said.targets[rows], said.probabilities[rows]
    ranked = ranked_classes(probabilities.shape[1])
    return {
        "melanoma": auc(said.truth[rows], said.scores[rows]),
        "mean": mean_auc(targets, probabilities, ranked),
    }


def by_specificity(*sensitivities: str) -> Measure:
    """The largest specificity that leaves each sensitivity, as a ROC curve has it."""

    def measure(said: Said, rows: Codes) -> dict[str, float]:
        truth, scores = said.truth[rows], said.scores[rows]
        found = np.sort(scores[truth])[::-1]
        others = scores[~truth]
        # A sensitivity of 0.9 calls nine of ten: from the score of the ninth on.
        last = (math.ceil(len(found) * float(wanted) - 1e-9) - 1 for wanted in sensitivities)
        shares = (_share(others < found[place]) if len(found) else math.nan for place in last)
        return dict(zip(sensitivities, shares, strict=True))

    return measure


def _precision_recall(called: Flags, truth: Flags) -> tuple[float, float]:
    """Who calls nothing is wrong about nothing, and finds nothing: a precision of nought."""
    right = float((called & truth).sum())
    return right / max(int(called.sum()), 1), right / max(int(truth.sum()), 1)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
