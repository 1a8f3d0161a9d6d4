"""A recipe so small that all its networks train in seconds, and phantoms to train it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from train.data import metrics
from train.phantoms import write_phantoms

SIDE = 64
COUNT = 24


def tiny_recipe() -> dict[str, Any]:
    """A U-Net and two members, the second on crops and with early stopping."""
    training = {"epochs": 1, "batch": 4, "rate": 1e-3}
    small = {
        "backbone": "small_se",
        "options": {"width": 8},
        "size": [SIDE, SIDE],
        "se_width": 8,
        "features": 16,
    }
    patient = {**training, "epochs": 2, "patience": 2, "stop_fraction": 0.25}
    return {
        "name": "tiny",
        "about": "for tests",
        "intended_use": "tests",
        "classes": ["melanoma", "seborrheic_keratosis", "nevus"],
        "positive": ["melanoma"],
        "score": "melanoma",
        "pretrained": False,
        "folds": 2,
        "segmenter": {
            "network": {"kind": "unet", "width": 4},
            "size": [SIDE, SIDE],
            "training": dict(training),
        },
        "views": {"whole": {"area": "frame"}, "lesion": {"area": "lesion", "margin": 0.2}},
        "training": {**training, "augmentation": {"rotate": 180, "flip": True}},
        "members": {
            "first": {**small, "view": "whole"},
            "second": {**small, "view": "lesion", "training": patient},
        },
        "ensemble": {"filters": 4, "epochs": 30},
    }


def write_recipe(file: Path, fields: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return file


def write_data(folder: Path) -> Path:
    write_phantoms(folder, count=COUNT, size=SIDE, seed=3)
    return folder


@contextmanager
def quick_training(cache: Path) -> Iterator[None]:
    """Narrow intervals cost time; fingerprints of phantoms have no place in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setattr(metrics, "RESAMPLES", 50)
        yield
