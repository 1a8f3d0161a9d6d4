"""Out-of-fold predictions as training writes them, for two classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

CLASSES = ("melanoma", "nevus")
Row = dict[str, str]


def rows(count: int = 120, seed: int = 0, sharpen: float = 1.0) -> list[Row]:
    """Every third image a melanoma; the higher `sharpen`, the surer the network claims to be."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        label = CLASSES[number % 3 != 0]
        logit = sharpen * rng.normal(1.0 if label == "melanoma" else -1.0, 1.0)
        score = 1 / (1 + np.exp(-logit))
        made.append(
            {
                "id": f"image{number}",
                "split": "train",
                "fold": str(number // 3 % 2),
                "label": label,
                "p.melanoma": f"{score:.7g}",
                "p.nevus": f"{1 - score:.7g}",
                "members.a.melanoma": "0.5",
            }
        )
    return made


def write(file: Path, content: list[Row]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, fieldnames=list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    return file
