"""The figures of an evaluation, each as a function of the images' weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calibration.evaluation.bootstrap import Family
from calibration.evaluation.masks import FAIR_JACCARD
from calibration.evaluation.prevalence import PREVALENCES, predictive_values
from calibration.evaluation.ranking import (
    Ranking,
    area,
    area_above,
    average_precision,
    sensitivity_at,
    specificity_at,
)
from train.data.metrics import ranked_classes

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

BINS = 15
LEAST_IN_BIN = 10  # images: what is said of three of them comes true by chance
LEAST_SENSITIVITY = 0.8
WANTED_SENSITIVITY = 0.95
WANTED_SPECIFICITY = 0.9


def class_areas(rows: Rows, targets: Rows, probabilities: Floats, classes: Sequence[str]) -> Family:
    """AUC of each class against the rest, and the mean that training reports too.

    A class without a single image has no AUC, and is left out of the mean.
    """
    there = [code for code in range(len(classes)) if 0 < (targets == code).sum() < len(targets)]
    rankings = {code: Ranking(targets == code, probabilities[:, code]) for code in there}
    averaged = [code for code in ranked_classes(len(classes)) if code in there]

    def of(weights: Floats) -> dict[str, Floats]:
        areas = {code: area(*ranking.rates(weights)) for code, ranking in rankings.items()}
        missing = np.full(len(weights), np.nan)
        named = {f"auc.{name}": areas.get(i, missing) for i, name in enumerate(classes)}
        mean = np.mean([areas[code] for code in averaged], axis=0) if averaged else missing
        return named | {"auc.mean": mean}

    names = [*(f"auc.{name}" for name in classes), "auc.mean"]
    return Family(rows, dict.fromkeys(names, len(rows)), of)


def ranking_figures(rows: Rows, positive: Flags, scores: Floats) -> Family:
    """What the score tells apart, whatever threshold is chosen later."""
    ranking = Ranking(positive, scores)

    def of(weights: Floats) -> dict[str, Floats]:
        hits, alarms = ranking.counts(weights)
        curve = hits / hits[:, -1:], alarms / alarms[:, -1:]
        figures = {
            "auc": area(*curve),
            "partial_auc": area_above(*curve, LEAST_SENSITIVITY),
            "specificity_at_sensitivity": specificity_at(*curve, WANTED_SENSITIVITY),
            "sensitivity_at_specificity": sensitivity_at(*curve, WANTED_SPECIFICITY),
            "average_precision": average_precision(hits, alarms),
        }
        undefined = ~np.isfinite(figures["auc"])
        return {name: np.where(undefined, np.nan, values) for name, values in figures.items()}

    sizes = dict.fromkeys(("auc", "partial_auc", "average_precision"), len(rows))
    sizes["specificity_at_sensitivity"] = int((~positive).sum())
    sizes["sensitivity_at_specificity"] = int(positive.sum())
    shares = frozenset({"specificity_at_sensitivity", "sensitivity_at_specificity"})
    return Family(rows, sizes, of, shares)


def decision_figures(rows: Rows, positive: Flags, called: Flags) -> Family:
    """What the threshold makes of the scores, and what a referral is then worth."""
    cells = np.stack(
        [positive & called, positive & ~called, ~positive & called, ~positive & ~called], axis=1
    ).astype(np.float64)

    def of(weights: Floats) -> dict[str, Floats]:
        hit, missed, alarm, left = (weights @ cells).T
        sensitivity, specificity = hit / (hit + missed), left / (left + alarm)
        return {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "precision": hit / (hit + alarm),
            "npv": left / (left + missed),
            "f1": 2 * hit / (2 * hit + alarm + missed),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "accuracy": (hit + left) / (hit + missed + alarm + left),
            **predictive_values(sensitivity, specificity),
        }

    positives, referred, every = int(positive.sum()), int(called.sum()), len(rows)
    sizes = {
        "sensitivity": positives,
        "specificity": every - positives,
        "precision": referred,
        "npv": every - referred,
        **dict.fromkeys(("f1", "balanced_accuracy", "accuracy"), every),
        **{f"{kind}@{share:g}": every for share in PREVALENCES for kind in ("ppv", "npv")},
    }
    shares = frozenset({"sensitivity", "specificity", "precision", "npv", "accuracy"})
    return Family(rows, sizes, of, shares)


def calibration_figures(rows: Rows, outcome: Flags, probabilities: Floats) -> Family:
    """Whether a probability of 0.3 comes true three in ten."""
    inside = equal_mass(probabilities, bins_for(len(rows)))
    gaps = inside * (probabilities - outcome)[:, None]
    squares = np.square(probabilities - outcome)

    def of(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        return {
            "ece": np.abs(weights @ gaps).sum(axis=1) / total,
            "brier": weights @ squares / total,
        }

    sizes = {"ece": len(rows), "brier": len(rows)}
    return Family(rows, sizes, of, centred=frozenset({"ece"}))


def bins_for(count: int) -> int:
    return max(min(BINS, count // LEAST_IN_BIN), 1)


def equal_mass(values: Floats, bins: int) -> Floats:
    """Images × bins, one where an image lies in a bin. Equal values share one: that of the
    middle of their ranks, so that the order of the images has no say."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    place = np.floor(rank * bins / len(values))
    return (place[:, None] == np.unique(place)).astype(np.float64)


def mask_figures(rows: Rows, dice: Floats, jaccard: Floats) -> Family:
    order = np.argsort(jaccard, kind="stable")
    failed = (jaccard < FAIR_JACCARD).astype(np.float64)

    def of(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        passed = np.cumsum(weights[:, order], axis=1)
        middle = (passed >= total[:, None] / 2).argmax(axis=1)
        return {
            "dice": weights @ dice / total,
            "jaccard": weights @ jaccard / total,
            "jaccard_median": jaccard[order][middle],
            "jaccard_failed": weights @ failed / total,
        }

    names = ("dice", "jaccard", "jaccard_median", "jaccard_failed")
    return Family(rows, dict.fromkeys(names, len(rows)), of, frozenset({"jaccard_failed"}))


def share_of(rows: Rows, name: str, flags: Flags) -> Family:
    numbers = flags.astype(np.float64)
    return Family(
        rows,
        {name: len(rows)},
        lambda weights: {name: weights @ numbers / weights.sum(axis=1)},
        frozenset({name}),
    )
