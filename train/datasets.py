"""Cached views as PyTorch data sets: augmented, coloured and normalised by the runtime's code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from runtime.preprocess import normalise, to_colour_space
from runtime.specs import PreprocessSpec
from train.augment import random_warp, recolour, warp
from train.occlusions import occlude
from train.recipe_parts.training import Augmentation
from train.views import Bytes


class ViewDataset(Dataset[Any]):
    """Image and target, where the target is a class number, or a mask that is warped along.

    Without augmentation it is exactly what the device will see.
    """

    def __init__(
        self,
        pixels: Bytes,
        targets: Bytes | np.ndarray,
        rows: Sequence[int],
        spec: PreprocessSpec,
        augmentation: Augmentation | None,
        known: np.ndarray | None = None,
    ) -> None:
        """`known`: a row of numbers of each image's patient, which then goes with the image."""
        self.known = known
        self.pixels, self.targets, self.rows = pixels, targets, list(rows)
        self.spec, self.augmentation = spec, augmentation

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned worker: its file's name, where a memory map would be copied whole."""
        return {
            name: Path(str(value.filename)) if isinstance(value, np.memmap) else value
            for name, value in self.__dict__.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, np.load(value, mmap_mode="r") if isinstance(value, Path) else value)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Any, torch.Tensor]:
        row = self.rows[item]
        image, target = np.asarray(self.pixels[row]), self.targets[row]
        is_mask = isinstance(target, np.ndarray) and target.ndim == 2
        if self.augmentation is None:
            floats = image.astype(np.float32)
        else:
            # torch's generator is seeded per worker and epoch by Lightning; numpy's is not.
            rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
            matrix = random_warp(image.shape[:2], self.augmentation, rng)
            floats = warp(image, matrix).astype(np.float32)
            if self.augmentation.occlude:
                floats = occlude(floats, self.augmentation.occlude, rng)
            floats = recolour(floats, self.augmentation, rng)
            if is_mask:
                target = warp(np.asarray(target), matrix, nearest=True)
        tensor = normalise(to_colour_space(floats, self.spec.colour), self.spec)[0]
        if is_mask:
            return torch.from_numpy(tensor), torch.from_numpy(np.asarray(target, np.float32)[None])
        given = torch.from_numpy(tensor)
        if self.known is None:
            return given, torch.tensor(int(target))
        return (given, torch.from_numpy(self.known[row])), torch.tensor(int(target))
