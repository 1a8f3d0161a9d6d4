"""Ding et al.: with and without segmentation, networks and ensembles, what they cost."""

from __future__ import annotations

from collections.abc import Callable

from train.reproducing.costs import COSTS, costs
from train.reproducing.judges import by_largest, pooled
from train.reproducing.tables import TOGETHER, PaperTable, Row, printed

COLUMNS = ("accuracy", "precision", "recall", "f1", "auc")
BINARY = (*COLUMNS, "auc of labels")
TASKS = ("melanoma", "seborrheic_keratosis")
LIGHT_TASKS = ("light+melanoma", "light+seborrheic_keratosis")
HARD = "the paper's area looks like that of labels"
NETWORKS = {
    "Inception-v3": "inception_v3",
    "Densenet169": "densenet169",
    "Resnet50": "resnet50",
    "Inception-Resnet-v2": "inception_resnet_v2",
    "Xception": "xception",
}


def _three(what: str, figures: str, system: str) -> Row:
    return Row(what, ("",), printed(COLUMNS, figures), ("light",), system)


def _two(what: str, figures: str, system: str, note: str = "") -> Row:
    return Row(what, TASKS, printed(COLUMNS, figures), LIGHT_TASKS, system, note=note)


def _cost(what: str, figures: str, system: str) -> Row:
    return Row(what, ("",), printed(COSTS, figures), ("light",), system)


def _networks(make: Callable[[str, str, str], Row], *figures: str) -> tuple[Row, ...]:
    return tuple(
        make(what, line, system)
        for (what, system), line in zip(NETWORKS.items(), figures, strict=True)
    )


TABLES = (
    PaperTable(
        "Table 2: with and without segmentation (Inception-v3)",
        COLUMNS,
        pooled(by_largest),
        (
            Row(
                "Without segmentation",
                ("no_segmentation",),
                printed(COLUMNS, "0.698 0.598 0.622 0.592 0.781"),
                ("light+no_segmentation",),
                "inception_v3",
            ),
            _three("With segmentation", "0.791 0.634 0.688 0.659 0.883", "inception_v3"),
            Row(
                "Without, ensemble",
                ("no_segmentation",),
                {},
                ("light+no_segmentation",),
                note="no row of the paper",
            ),
        ),
    ),
    PaperTable(
        "Table 3: three classes",
        COLUMNS,
        pooled(by_largest),
        (
            *_networks(
                _three,
                "0.792 0.634 0.688 0.659 0.883",
                "0.800 0.739 0.727 0.722 0.881",
                "0.762 0.676 0.678 0.672 0.864",
                "0.800 0.736 0.726 0.725 0.873",
                "0.810 0.75 0.748 0.748 0.896",
            ),
            _three("Average", "0.793 0.724 0.724 0.719 0.880", "average"),
            _three("Ensemble", "0.851 0.769 0.715 0.741 0.913", TOGETHER),
        ),
    ),
    PaperTable(
        "Table 4: parameters and training time",
        COSTS,
        costs,
        (
            *_networks(
                _cost, "22.56M 1900", "13.22M 3200", "24.32M 1900", "54.87M 3000", "21.59M 2700"
            ),
            _cost("Ensemble", "423 20", TOGETHER),
        ),
    ),
    PaperTable(
        "Table 5: mean of melanoma and seborrheic keratosis, each against the rest",
        BINARY,
        pooled(by_largest),
        (
            *_networks(
                _two,
                "0.885 0.806 0.781 0.791 0.883",
                "0.893 0.827 0.783 0.802 0.882",
                "0.88 0.792 0.788 0.789 0.882",
                "0.89 0.807 0.814 0.809 0.894",
                "0.891 0.814 0.811 0.812 0.896",
            ),
            _two("SVC", "0.911 0.798 0.66 0.719 0.813", "svc", HARD),
            _two("Random forest", "0.912 0.802 0.664 0.721 0.816", "random_forest", HARD),
            _two("Extra-Trees", "0.911 0.805 0.65 0.716 0.809", "extra_trees", HARD),
            _two("KNN", "0.908 0.782 0.657 0.709 0.81", "knn", HARD),
            _two("GBDT", "0.91 0.808 0.644 0.71 0.807", "gbdt", HARD),
            Row("Average", TASKS, {}, LIGHT_TASKS, "average", note="no row of the paper"),
            _two("Ensemble", "0.909 0.859 0.808 0.828 0.911", TOGETHER),
        ),
    ),
)
