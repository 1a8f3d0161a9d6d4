"""Segmenters, one a fold and one that ships, and every image's mask by one that has not seen it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from runtime.lesion import clean_mask
from train import networks
from train.data.metrics import overlap
from train.datasets import ViewDataset
from train.stage import Stage
from train.stages.run import Run, named
from train.tasks import SegmenterTask
from train.trainer import WEIGHTS, load_network, predict
from train.views import Bytes, frames_at, load_masks, masks_at, save_masks


@dataclass(frozen=True)
class Segmenting:
    """For a recipe that has a segmenter. `taught` has the images with masks that it learns from,
    `run` those that are classified; usually they are the same."""

    run: Run
    taught: Run

    def _inputs(self, part: str) -> dict[str, Any]:
        return {
            **self.taught.data_inputs,
            **self.run.start_inputs,
            "segmenter": networks.segmenter_of(self.run.recipe),
            "outlines": self.taught.table.masks_digest,
            "part": part,
        }

    def stage(self, part: str) -> Stage:
        return self.run.stage(f"segmenter/{part}", self._inputs(part))

    def train(self, part: str) -> None:
        stage, run = self.stage(part), self.taught
        if stage.done:
            return
        recipe = networks.segmenter_of(run.recipe)
        frames, masks = self._frames(run), self.expert_masks
        stage.begin()
        label = f"segmenter {named(part)}"
        run.seed(label)
        net = networks.build_segmenter(
            run.recipe, hub=run.from_hub(networks.encoder_name(run.recipe))
        )
        spec = networks.segmenter_preprocess(run.recipe)
        rows, stop = run.train_and_stop(run.rows(part), recipe.training)
        if encoder := networks.encoder_of(net, recipe.network):
            run.start(*encoder, frames, rows, spec)
        took = run.fit(
            SegmenterTask(net, recipe.training, recipe.loss),
            ViewDataset(frames, masks, rows, spec, recipe.training.augmentation),
            ViewDataset(frames, masks, stop, spec, None) if stop else None,
            recipe.training,
            stage,
            label,
        )
        stage.finish(took)

    def _frames(self, run: Run) -> Bytes:
        size = networks.segmenter_of(run.recipe).size
        place = "views/frames" if run is self.run else "views/taught"
        stage = run.stage(place, {**run.data_inputs, "size": size})
        return frames_at(run.table, size, stage)

    @cached_property
    def expert_masks(self) -> Bytes:
        """Of the images that it learns from."""
        size = networks.segmenter_of(self.run.recipe).size
        outlines = self.taught.table.masks_digest
        inputs = {**self.taught.data_inputs, "size": size, "outlines": outlines}
        return masks_at(self.taught.table, size, self.run.stage("views/masks", inputs))

    @cached_property
    def masks(self) -> Bytes:
        """Every image's mask, by the segmenter that has not seen the image."""
        return self._unseen(self.run, "masks")

    @cached_property
    def taught_masks(self) -> Bytes:
        """The same of the images that it learns from."""
        return self.masks if self.taught is self.run else self._unseen(self.taught, "taught_masks")

    def _unseen(self, run: Run, place: str) -> Bytes:
        size = networks.segmenter_of(run.recipe).size
        stage = run.stage(place, self.masks_inputs(run))
        if not stage.done:
            stage.begin()
            masks = np.zeros((len(run.table), *size), dtype=np.uint8)
            for part in run.fold_parts:
                rows = run.unseen(part)
                masks[rows] = self._segment(part, run, rows)
            save_masks(stage.folder, masks)
            stage.finish()
        return load_masks(stage.folder, size[1])

    def masks_inputs(self, run: Run | None = None) -> dict[str, Any]:
        inputs: dict[str, Any] = {part: self._inputs(part) for part in self.run.fold_parts}
        return inputs if self.taught is self.run else inputs | (run or self.run).data_inputs

    def _segment(self, part: str, run: Run, rows: npt.NDArray[np.int64]) -> Bytes:
        recipe = networks.segmenter_of(self.run.recipe)
        net = load_network(
            networks.build_segmenter(self.run.recipe), self.stage(part).folder / WEIGHTS
        )
        spec = networks.segmenter_preprocess(self.run.recipe)
        nothing = np.zeros(len(run.table), dtype=np.int64)
        data = ViewDataset(self._frames(run), nothing, rows.tolist(), spec, None)
        said = predict(nn.Sequential(net, nn.Sigmoid()), data, self.run.machine)[0][:, 0]
        return np.stack([clean_mask(p, recipe.threshold, recipe.fill_holes) for p in said])

    def figures(self) -> dict[str, float]:
        pairs = zip(self.expert_masks, self.taught_masks, strict=True)
        dice, jaccard = np.mean([overlap(*pair) for pair in pairs], axis=0)
        return {"jaccard": round(float(jaccard), 4), "dice": round(float(dice), 4)}
