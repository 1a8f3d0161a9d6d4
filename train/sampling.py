"""Random upsampling: in an epoch every class is shown as often as the largest.

It is a matter of the data set and not of a sampler, so that Lightning's own samplers go on dealing
the images to processes and to epochs, and a resumed training goes on as any other does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class Balanced(Dataset[Any]):
    """A class's images one after the other, as often as all of them fit; the few that are then
    missing are drawn at random, anew each time."""

    def __init__(self, images: Dataset[Any], classes: Sequence[Sequence[int]]) -> None:
        """`classes`: of each class the places of its images."""
        self.images, self.classes = images, classes
        self.most = max(map(len, classes))

    def __len__(self) -> int:
        return self.most * len(self.classes)

    def __getitem__(self, item: int) -> Any:
        number, place = divmod(item, self.most)
        own = self.classes[number]
        if place >= self.most - self.most % len(own):
            # torch's generator is seeded per worker and epoch by Lightning; numpy's is not.
            place = int(torch.randint(len(own), (1,)))
        return self.images[own[place % len(own)]]


def balanced(images: Dataset[Any], targets: np.ndarray) -> Balanced:
    """`targets` are the class numbers of the images, in their order."""
    return Balanced(images, [np.flatnonzero(targets == c).tolist() for c in np.unique(targets)])
