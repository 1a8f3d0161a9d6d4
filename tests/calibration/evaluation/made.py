"""Judged images without an engine: scores as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calibration.evaluation.cases import Cases
from calibration.evaluation.masks import MaskScores
from calibration.judged import Judged, Judgement
from runtime.record import Result
from train.data.table import Sample, Table

CLASSES = ("melanoma", "nevus")
THRESHOLD = 0.5


def judgement(score: float | None, status: str = "ok", threshold: float | None = THRESHOLD) -> Any:
    if score is None:
        return Judgement(None, None, problem="torn")
    refer = None if threshold is None or status != "ok" else score >= threshold
    known = {"probabilities": {"melanoma": score, "nevus": 1 - score}, "score": score}
    return Judgement(
        Result(status=status, refer=refer, threshold=threshold, **known), None
    )  # fmt: skip


def judged_of(
    scores: Sequence[float | None],
    positive: Sequence[bool],
    threshold: float | None = THRESHOLD,
    **fields: Sequence[Any],
) -> Judged:
    samples = [
        Sample(
            f"i{row}",
            "mine",
            Path(f"i{row}.png"),
            CLASSES[not melanoma],
            "",
            **{name: values[row] for name, values in fields.items()},
        )
        for row, melanoma in enumerate(positive)
    ]
    table = Table.of("mine", samples, CLASSES)
    said = tuple(judgement(score, threshold=threshold) for score in scores)
    return Judged(table, CLASSES, ("melanoma",), "melanoma", said)


def cases_of(judged: Judged) -> Cases:
    nothing = np.full(len(judged.table), np.nan)
    return Cases(judged, MaskScores(nothing, nothing))


def random_scores(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = np.arange(count) % 3 == 0
    return np.clip(rng.normal(0.35 + 0.25 * positive, 0.18), 0.001, 0.999), positive


def write_mask(file: Path) -> None:
    """An ellipse where the tests' pictures of 60 × 80 have their lesion."""
    mask = np.zeros((60, 80), np.uint8)
    cv2.ellipse(mask, (36, 30), (13, 12), 20, 0, 360, 255, cv2.FILLED)
    file.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
