"""Bhardwaj and Rege: eight classes by single networks, melanoma against the rest by the average."""

from __future__ import annotations

from train.reproducing.judges import of_one_class, pooled
from train.reproducing.tables import TOGETHER, PaperTable, Row, printed

FIRST = ("accuracy",)
SECOND = ("accuracy", "loss", "precision", "recall", "auc")
HINGE = "the paper's loss is the machine's hinge loss, ours the cross-entropy of its probabilities"
LINEAR = "no row of the paper: the paper does not say which kernel"
ON_PROBABILITIES = "no row of the paper: the average of probabilities instead of features"


def _eight(what: str, variant: str, figure: str) -> Row:
    return Row(what, (variant,), printed(FIRST, figure))


def _two(
    what: str,
    variant: str,
    light: str | None,
    figures: str = "",
    system: str = TOGETHER,
    note: str = "",
) -> Row:
    paper = printed(SECOND, f"{figures} –") if figures else {}
    return Row(what, (variant,), paper, () if light is None else (light,), system, note=note)


TABLES = (
    PaperTable(
        "Table 2: eight classes",
        FIRST,
        pooled(of_one_class),
        (
            _eight("CNN", "eight_cnn", "70.8%"),
            _eight("VGG", "eight_vgg", "63%"),
            _eight("AlexNet", "eight_alexnet", "75%"),
            _eight("AlexNet + fine tuning", "eight_alexnet_tuned", "77.3%"),
            Row("Average + SVM", ("eight",), {}, note="no row of the paper"),
        ),
    ),
    PaperTable(
        "Table 3: melanoma against the rest",
        SECOND,
        pooled(of_one_class),
        (
            _two("MobileNet", "mobilenet_frozen", None, "77.6% 0.55 0.4 0.3"),
            _two("MobileNet + fine tuning", "", "light", "84% 0.5 0.5 0.6", "mobilenet"),
            _two("Inception + fine tuning", "", "light", "88% 0.43 0.5 0.4", "inception"),
            _two("Deep CNN", "", "light", "", "deep_cnn", "no row of the paper"),
            _two("Average + fine tuning", "average", "light+average", "85.2% 0.34 0.5 0.5"),
            _two("Average + SVM", "", "light", "86.3% 0.18 0.8 0.6", note=HINGE),
            _two("Average + linear SVM", "linear", "light+linear", note=LINEAR),
            _two(
                "Average of probabilities + SVM",
                "svm_on_probabilities",
                "light+svm_on_probabilities",
                note=ON_PROBABILITIES,
            ),
        ),
    ),
)
