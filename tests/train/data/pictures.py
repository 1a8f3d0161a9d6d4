"""Small pictures with enough detail to be told apart, and folders of them in known layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.table import Sample

Picture = NDArray[np.uint8]


def picture(seed: int, side: int = 128) -> Picture:
    """Skin with a dark spot in the middle, as all of them are, under detail of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    spot = 200 - 120 * (x**2 + y**2 < 0.3)
    detail = np.zeros((side, side))
    for cells, strength in ((6, 20), (16, 25), (40, 25)):
        noise = rng.standard_normal((cells, cells))
        detail += strength * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    grey = np.clip(spot + detail, 45, 255)
    return np.stack([grey * 0.8, grey * 0.85, grey], axis=-1).astype(np.uint8)


def save(path: Path, image: Picture, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix.lower() == ".jpg" else []
    assert cv2.imwrite(str(path), image, options)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def isic_part(root: Path, part: str, rows: dict[str, str], seed: int = 0) -> None:
    """One split of ISIC 2017: `rows` maps ids to the two flags, as in '1.0,0.0'."""
    data = root / f"ISIC-2017_{part}_Data"
    for number, name in enumerate(rows):
        save(data / f"{name}.jpg", picture(seed + number))
        mask = np.zeros((128, 128), np.uint8)
        save(root / f"ISIC-2017_{part}_Part1_GroundTruth" / f"{name}_segmentation.png", mask)
    truth = "".join(f"{name},{flags}\n" for name, flags in rows.items())
    text(
        root / f"ISIC-2017_{part}_Part3_GroundTruth.csv",
        "image_id,melanoma,seborrheic_keratosis\n" + truth,
    )
    ages = "".join(f"{name},55,female\n" for name in rows)
    text(root / f"ISIC-2017_{part}_Data_metadata.csv", "image_id,age_approximate,sex\n" + ages)


def sample(name: str, label: str | None = "nevus", **facts: str | None) -> Sample:
    """A sample whose image need not exist, for what is decided without looking at it."""
    known = {"split": "", "patient": None, "lesion": None, **facts}
    return Sample(
        id=name,
        dataset="set",
        image=Path(f"{name}.png"),
        label=label,
        split=known["split"] or "",
        patient=known["patient"],
        lesion=known["lesion"],
    )
