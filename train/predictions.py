"""Out-of-fold predictions: what every network says of images it was not trained on.

They are the only honest material for the ensemble, the temperature and the threshold, so they are
kept in one CSV file that `dermedge operate` reads.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.data.metrics import auc, bootstrap, ranked_classes
from train.data.table import Table

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OutOfFold:
    """Rows are images in the table's order; `members` is images × members × classes."""

    table: Table
    folds: npt.NDArray[np.int64]
    names: tuple[str, ...]
    members: Floats
    ensemble: Floats

    def write(self, file: Path) -> None:
        classes = self.table.classes
        header = ["id", "split", "fold", "label", *(f"p.{c}" for c in classes)]
        header += [f"members.{name}.{c}" for name in self.names for c in classes]
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(header)
            for row, sample in enumerate(self.table):
                numbers = [*self.ensemble[row], *self.members[row].ravel()]
                writer.writerow(
                    [sample.id, sample.split, self.folds[row], sample.label]
                    + [f"{number:.7g}" for number in numbers]
                )

    @classmethod
    def read(
        cls, file: Path, table: Table, folds: npt.NDArray[np.int64], names: tuple[str, ...]
    ) -> OutOfFold:
        """What `write` wrote of the same table."""
        with file.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
        assert tuple(row["id"] for row in rows) == table.ids

        def column(name: str) -> list[float]:
            return [float(row[name]) for row in rows]

        members = [[column(f"members.{name}.{c}") for c in table.classes] for name in names]
        together = [column(f"p.{c}") for c in table.classes]
        return cls(table, folds, names, np.array(members).transpose(2, 0, 1), np.array(together).T)

    def figures(self) -> dict[str, object]:
        """AUC of the ensemble, of the plain mean and of each member; overall and by split."""
        everyone = np.arange(len(self.table))
        result: dict[str, object] = {"all": self._figures_on(everyone)}
        splits = np.array([sample.split for sample in self.table])
        for split in self.table.splits:
            rows = np.flatnonzero(splits == split)
            if split and 0 < len(rows) < len(everyone):
                result[split] = self._figures_on(rows)
        return result

    def _figures_on(self, rows: npt.NDArray[np.int64]) -> dict[str, object]:
        targets = self.table.targets[rows]
        systems = {"ensemble": self.ensemble[rows]}
        if len(self.names) > 1:  # one network is its own ensemble, and its own mean
            systems["mean"] = self.members[rows].mean(axis=1)
            systems |= {name: self.members[rows, i] for i, name in enumerate(self.names)}
        return {
            "images": len(rows),
            "counts": {c: int((targets == i).sum()) for i, c in enumerate(self.table.classes)},
            **{
                name: _aucs(targets, values, self.table.classes) for name, values in systems.items()
            },
        }


def _aucs(
    targets: npt.NDArray[np.int64], probabilities: Floats, classes: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Each class against the rest, and the mean over `ranked_classes`."""
    ranked = ranked_classes(len(classes))

    def measure(rows: npt.NDArray[np.int64]) -> list[float]:
        each = [auc(targets[rows] == c, probabilities[rows, c]) for c in range(len(classes))]
        return [*each, float(np.mean([each[code] for code in ranked]))]

    found = zip(measure(np.arange(len(targets))), *bootstrap(len(targets), measure), strict=True)
    return {
        name: dict(zip(("auc", "low", "high"), map(_known, figures), strict=True))
        for name, figures in zip((*classes, "mean"), found, strict=True)
    }


def _known(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
