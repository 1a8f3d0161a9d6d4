"""What the figures are called, and what each one says, for terminal and page alike."""

from __future__ import annotations

from calibration.evaluation.bootstrap import Estimate
from runtime.reporting.wording import plain

FIGURES = {
    "auc": ("AUC of the score", "the chance that a positive scores above another; 0.5 by chance"),
    "partial_auc": (
        "Partial AUC above 80% sensitivity",
        "area of the ROC curve that is of use: 0 to 0.2, 0.02 by chance",
    ),
    "specificity_at_sensitivity": (
        "Specificity at 95% sensitivity",
        "at a threshold chosen on these images, not the bundle's",
    ),
    "sensitivity_at_specificity": (
        "Sensitivity at 90% specificity",
        "at a threshold chosen on these images, not the bundle's",
    ),
    "average_precision": ("Average precision", "area under precision and recall"),
    "auc.mean": ("Mean AUC", "each class against the rest; the last class, the rest, left out"),
    "sensitivity": ("Sensitivity", "of the positives, called positive at the threshold"),
    "specificity": ("Specificity", "of the others, left alone at the threshold"),
    "precision": ("Precision", "of those called positive, truly so: moves with their share"),
    "npv": ("Negative predictive value", "of those left alone, rightly: moves with their share"),
    "f1": ("F1", "harmonic mean of sensitivity and precision"),
    "balanced_accuracy": ("Balanced accuracy", "mean of sensitivity and specificity"),
    "accuracy": ("Accuracy", "all that was called rightly: moves with the share of positives"),
    "ece": (
        "Expected calibration error",
        "how far what was said is from what came true, in bins of about equal size; chance alone "
        "keeps it above 0",
    ),
    "brier": ("Brier score", "mean squared error of the score as a probability; lower is better"),
    "abstention_rate": ("Abstained", "a score, but no decision"),
    "undecided_rate": ("Without a decision", "abstained, rejected, failed or unreadable"),
    "dice": ("Dice", "of the lesion's outline, mean over images"),
    "jaccard": ("Jaccard", "of the lesion's outline, mean over images"),
    "jaccard_median": ("Jaccard, median", "half of the outlines are better"),
    "jaccard_failed": ("Jaccard below 0.65", "share of outlines that count as failed"),
}
KEY = ("auc", "auc.mean", "sensitivity", "specificity", "specificity_at_sensitivity", "ece")
"""What the first look is at; a figure that is not there is passed over."""


def title_of(name: str) -> str:
    if name in FIGURES:
        return FIGURES[name][0]
    return f"AUC, {plain(name.removeprefix('auc.'))}"


def note_of(name: str) -> str:
    return FIGURES[name][1] if name in FIGURES else "against all others"


def value_of(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{estimate.value:.3f}"


def span_of(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
