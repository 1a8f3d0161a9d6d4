"""How good the masks are that a run's segmenters draw on images they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train.data.metrics import bootstrap, overlap
from train.pipeline import Pipeline
from train.reproducing.said import Flags
from train.reproducing.shown import with_interval
from train.reproducing.tables import Row

SEGMENTED = ("dice loss", "dice coefficient", "pixel accuracy")


def segmented(pipelines: Sequence[Pipeline], row: Row, asked: Flags) -> dict[str, str]:
    """Means over the images, each with a bootstrap interval of 95 %.

    Where the segmenter learns from another data set, it is judged on all of that, and on no part.
    """
    (pipeline,) = pipelines
    assert pipeline.segmenting is not None
    drawn, found_masks = pipeline.segmenting.expert_masks, pipeline.segmenting.taught_masks
    pairs = list(zip(drawn, found_masks, strict=True))
    if pipeline.segmenting.taught is not pipeline.segmenting.run:
        if not asked.all():
            return {}
        asked = np.ones(len(pairs), dtype=bool)
    dice = np.array([overlap(*pair)[0] for pair in pairs])[asked]
    right = np.array([(one == other).mean() for one, other in pairs])[asked]
    values = np.stack([1 - dice, dice, right])
    low, high = bootstrap(len(dice), lambda rows: values[:, rows].mean(axis=1))
    each = zip(SEGMENTED, values.mean(axis=1), low, high, strict=True)
    return {name: with_interval(*figures) for name, *figures in each}
