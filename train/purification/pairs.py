"""What the purification network learns from: pictures before and after the classical method, with
parts of them hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from train.purification.holes import draw_holes
from train.views import Bytes

HIDDEN = ("strokes", "occlusions", "nothing", "nothing")
"""What is hidden from the network, each as often as it stands here: something at random; what the
classical method painted over; or nothing, as on the device, where it has to find hair by itself."""


@dataclass(frozen=True)
class Pairs:
    """N × height × width × 3 as bytes, blue, green and red; occlusions without the 3, 0 or 1."""

    before: Bytes
    after: Bytes
    occlusions: Bytes


class PairDataset(Dataset[Any]):
    """(Image, what of it is valid), and behind that the image wanted with a fourth plane: where it
    was hidden or painted over."""

    def __init__(self, pairs: Pairs, rows: Sequence[int]) -> None:
        self.pairs, self.rows = pairs, list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Any, torch.Tensor]:
        row = self.rows[item]
        # torch's generator is seeded per worker and epoch by Lightning; numpy's is not.
        rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        occlusions = np.asarray(self.pairs.occlusions[row])
        hidden = np.zeros_like(occlusions)
        kind = HIDDEN[int(rng.integers(len(HIDDEN)))]
        if kind == "strokes":
            hidden = draw_holes(hidden.shape[0], hidden.shape[1], rng)
        elif kind == "occlusions":
            hidden = occlusions
        changed = torch.from_numpy((hidden | occlusions).astype(np.float32))[None]
        image, wanted = (_planes(side[row]) for side in (self.pairs.before, self.pairs.after))
        valid = torch.from_numpy(1 - hidden.astype(np.float32))[None]
        return (image, valid), torch.cat([wanted, changed])


def _planes(bgr: Bytes) -> torch.Tensor:
    rgb = np.asarray(bgr)[..., ::-1].transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(rgb, dtype=np.float32) / np.float32(255))
