"""What a network costs: its parameters, and the time that training it took on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from train import networks
from train.pipeline import Pipeline
from train.reproducing.said import Flags
from train.reproducing.tables import TOGETHER, Row

COSTS = ("parameters", "seconds")
UNKNOWN = "–"


def costs(pipelines: Sequence[Pipeline], row: Row, asked: Flags) -> dict[str, str]:
    """The same for any images that are asked about: there is one row of it."""
    if not asked.all():
        return {}
    (pipeline,) = pipelines
    if row.system == TOGETHER:
        net: nn.Module = networks.build_combiner(pipeline.recipe)
        seconds: list[float | None] = [pipeline.combining.seconds(pipeline.fold_parts)]
    else:
        net = networks.build_member(pipeline.recipe, row.system)
        seconds = pipeline.classifying.seconds(row.system)
    count = sum(parameter.numel() for parameter in net.parameters())
    return {"parameters": f"{count:,}", "seconds": _shown(seconds)}


def _shown(seconds: Sequence[float | None]) -> str:
    """The mean over the folds; one that was stopped and went on is not known."""
    known = [value for value in seconds if value is not None]
    return f"{np.mean(known):.0f}" if known and len(known) == len(seconds) else UNKNOWN
