"""Reading out-of-fold predictions: the CSV file that training leaves in its run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import InputError


@dataclass(frozen=True)
class Predictions:
    ids: tuple[str, ...]
    folds: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]  # positions in `classes`
    probabilities: npt.NDArray[np.float64]  # images × classes
    classes: tuple[str, ...]

    def without(self, ids: Sequence[str]) -> Predictions:
        left_out = set(ids)
        keep = np.array([i for i, name in enumerate(self.ids) if name not in left_out], dtype=int)
        return Predictions(
            tuple(self.ids[i] for i in keep),
            self.folds[keep],
            self.targets[keep],
            self.probabilities[keep],
            self.classes,
        )


def read_predictions(file: Path, classes: Sequence[str]) -> Predictions:
    """Columns id, fold, label and one `p.CLASS` for each class; others are not looked at."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:  # Excel writes a byte-order mark
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError("The predictions cannot be read.", got=f"{file}: {exc}") from exc
    wanted = ["id", "fold", "label", *(f"p.{name}" for name in classes)]
    missing = [name for name in wanted if not rows or name not in rows[0]]
    if missing:
        raise InputError(
            f"{file} does not hold predictions of this bundle's classes.",
            got=f"no column {', '.join(missing)}" if rows else "an empty file",
            expected=", ".join(wanted),
            remedy="Use the oof.csv of the run that the bundle was exported from.",
        )
    parsed = [_parse(row, classes, f"{file}, line {line}") for line, row in enumerate(rows, 2)]
    ids, folds, targets, probabilities = zip(*parsed, strict=True)
    if len(set(ids)) != len(ids):
        raise InputError(f"{file} has an id twice.", expected="one prediction an image")
    return Predictions(
        ids, np.array(folds), np.array(targets), np.array(probabilities), tuple(classes)
    )


def _parse(
    row: dict[str, str], classes: Sequence[str], where: str
) -> tuple[str, int, int, list[float]]:
    if row["label"] not in classes:
        raise InputError(
            f"{where} has a label that is not a class of the bundle.",
            got=row["label"],
            expected=", ".join(classes),
        )
    try:
        fold, probabilities = int(row["fold"]), [float(row[f"p.{name}"]) for name in classes]
    except (TypeError, ValueError) as exc:
        raise InputError(f"{where} is not a prediction.", got=exc) from exc
    # Written so that NaN, for which no comparison is true, is refused as well.
    if not all(0 <= p <= 1 for p in probabilities) or abs(sum(probabilities) - 1) > 1e-3:
        raise InputError(
            f"{where}: these are not probabilities.",
            got=probabilities,
            expected="numbers of 0 to 1 that add up to 1",
            remedy="take the oof.csv that `dermedge train` wrote, or write the column again",
        )
    return row["id"], fold, list(classes).index(row["label"]), probabilities
