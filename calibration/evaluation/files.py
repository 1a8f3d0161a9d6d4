"""evaluation.json and predictions.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.out_folder import write_whole

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation
    from calibration.evaluation.masks import MaskScores
    from calibration.judged import Judged

PREDICTIONS, FIGURES, REPORT = "predictions.csv", "evaluation.json", "report.html"
OVERLAPS = "overlaps.csv"


def write_figures(evaluation: Evaluation, folder: Path) -> None:
    text = json.dumps(evaluation.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / FIGURES, (text + "\n").encode())


def write_predictions(judged: Judged, masks: MaskScores, folder: Path) -> None:
    """One line an image; what is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(
        ["id", "dataset", "split", "label", *(f"p.{name}" for name in judged.classes)]
        + ["score", "threshold", "refer", "status", "reason", "dice", "jaccard", "skin_angle"]
        + ["bundle"]
    )
    writer.writerows(_lines(judged, masks))
    write_whole(folder / PREDICTIONS, text.getvalue().encode("utf-8", "backslashreplace"))


def _lines(judged: Judged, masks: MaskScores) -> Iterator[list[object]]:
    rows = zip(judged.table, judged.judgements, judged.probabilities, strict=True)
    for row, (sample, judgement, probabilities) in enumerate(rows):
        result = judgement.result
        decided: list[object] = [None, None, None, "unreadable", judgement.problem]
        if result is not None:
            refer = None if result.refer is None else json.dumps(result.refer)
            decided = [
                _short(result.score), result.threshold, refer, result.status, result.reason
            ]  # fmt: skip
        yield [
            sample.id,
            sample.dataset,
            sample.split,
            sample.label,
            *(_short(value) for value in probabilities),
            *decided,
            _short(masks.dice[row]),
            _short(masks.jaccard[row]),
            _short(judgement.skin),
            result.bundle.digest[:12] if result is not None and result.bundle else None,
        ]


def _short(value: float | None) -> str | None:
    return None if value is None or not np.isfinite(value) else f"{value:.6g}"
