"""All stages of a run, in order, each skipped when its result is there and its inputs unchanged.

segmenter, one a fold      → masks of images it has not seen
views cut by those masks   → members, one a fold → out-of-fold predictions
out-of-fold predictions    → the ensemble, one a fold (for `export --fold K`) and one of all
all images                 → the segmenter and the members that ship

The networks that ship are trained on everything; what they are worth is told by the folds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from runtime.lesion import clean_mask
from runtime.specs import PreprocessSpec
from train import networks
from train.batchnorm import has_folded_batchnorm, restore_batchnorm
from train.data.metrics import overlap
from train.data.splits import holdout
from train.data.table import Table, metadata
from train.datasets import ViewDataset
from train.ensemble import combine, fit_ensemble
from train.freezing import freeze
from train.predictions import OutOfFold
from train.recipe import Recipe, Training
from train.stage import Stage, fingerprint, write_json
from train.tasks import MemberTask, SegmenterTask, class_weights
from train.trainer import WEIGHTS, Machine, load_network, predict, save_network, train_network
from train.views import Bytes, frames_at, load_masks, masks_at, save_masks, view_at
from train.weights import load_trunk

FINAL = "final"
STATISTICS_IMAGES = 256  # for batch normalisation that lost its statistics


@dataclass(frozen=True)
class Pipeline:
    recipe: Recipe
    table: Table
    folds: npt.NDArray[np.int64]
    out: Path
    machine: Machine

    def run(self, final: bool = True) -> dict[str, Any]:
        """`final`: also the networks that ship, which no table is made of."""
        for stage in self._stages():
            stage.forget_if_stale()
        if self.recipe.segmenter is not None:
            for fold in range(self.recipe.folds):
                self._segmenter(str(fold))
            self._masks  # noqa: B018  rendered here, so that a missing mask is known early
        for member in self.recipe.members:
            for fold in range(self.recipe.folds):
                self._member(member, str(fold))
        figures = self._ensemble()
        if not final:
            return figures
        if self.recipe.segmenter is not None:
            self._segmenter(FINAL)
        for member in self.recipe.members:
            self._member(member, FINAL)
        return figures

    def _stages(self) -> Iterator[Stage]:
        """All whose results are exported."""
        for part in [*map(str, range(self.recipe.folds)), FINAL]:
            if self.recipe.segmenter is not None:
                yield self._segmenter_stage(part)
            for member in self.recipe.members:
                yield self._member_stage(member, part)
        yield self._ensemble_stage()

    # -- which images ------------------------------------------------------------------------

    def _rows(self, part: str) -> npt.NDArray[np.int64]:
        """The images a part is trained on: all, or all outside a fold."""
        everyone = np.arange(len(self.table))
        return everyone if part == FINAL else everyone[self.folds != int(part)]

    def _train_and_stop(
        self, rows: npt.NDArray[np.int64], training: Training
    ) -> tuple[list[int], list[int]]:
        """Early stopping watches images of its own, never those the fold is judged on."""
        if training.patience is None:
            return rows.tolist(), []
        part = replace(self.table, samples=tuple(self.table[int(r)] for r in rows))
        _, held = holdout(part, training.stop_fraction, self.recipe.seed)
        held_ids = set(held.ids)
        stop = [int(r) for r in rows if self.table[int(r)].id in held_ids]
        return [int(r) for r in rows if self.table[int(r)].id not in held_ids], stop

    @cached_property
    def _data(self) -> dict[str, Any]:
        order = fingerprint({"ids": self.table.ids})
        return {"data": self.table.digest, "order": order, "folds": self.folds.tolist()}

    # -- segmentation ------------------------------------------------------------------------

    def _segmenter_inputs(self, part: str) -> dict[str, Any]:
        return {
            **self._data,
            "segmenter": networks.segmenter_of(self.recipe).model_dump(),
            "start": networks.start_of(self.recipe, self.machine.weights),
            "seed": self.recipe.seed,
            "part": part,
        }

    def _segmenter_stage(self, part: str) -> Stage:
        return Stage.of(self.out / "segmenter" / part, self._segmenter_inputs(part))

    def _segmenter(self, part: str) -> None:
        stage = self._segmenter_stage(part)
        if stage.done:
            return
        recipe = networks.segmenter_of(self.recipe)
        frames = self._frames
        masks = masks_at(
            self.table, recipe.size,
            Stage.of(self.out / "views" / "masks", {**self._data, "size": recipe.size}),
        )  # fmt: skip
        stage.begin()
        encoder_name = networks.encoder_name(self.recipe)
        net = networks.build_segmenter(self.recipe, hub=self._from_hub(encoder_name))
        spec = networks.segmenter_preprocess(self.recipe)
        rows, stop = self._train_and_stop(self._rows(part), recipe.training)
        if encoder := networks.encoder_of(net, recipe.network):
            self._start(*encoder, frames, rows, spec)
        train_network(
            SegmenterTask(net, recipe.training, recipe.loss),
            ViewDataset(frames, masks, rows, spec, recipe.training.augmentation),
            ViewDataset(frames, masks, stop, spec, None) if stop else None,
            recipe.training, stage.folder, self.machine, self.recipe.seed,
            f"segmenter {_named(part)}",
        )  # fmt: skip
        stage.finish()

    @cached_property
    def _frames(self) -> Bytes:
        size = networks.segmenter_of(self.recipe).size
        stage = Stage.of(self.out / "views" / "frames", {**self._data, "size": size})
        return frames_at(self.table, size, stage)

    @cached_property
    def _masks(self) -> Bytes:
        """Every image's mask, by the segmenter that has not seen the image."""
        size = networks.segmenter_of(self.recipe).size
        stage = Stage.of(self.out / "masks", self._masks_inputs())
        if not stage.done:
            stage.begin()
            masks = np.zeros((len(self.table), *size), dtype=np.uint8)
            for fold in range(self.recipe.folds):
                rows = np.flatnonzero(self.folds == fold)
                masks[rows] = self._segment(str(fold), rows)
            save_masks(stage.folder, masks)
            stage.finish()
        return load_masks(stage.folder, size[1])

    def _masks_inputs(self) -> dict[str, Any]:
        return {str(f): self._segmenter_inputs(str(f)) for f in range(self.recipe.folds)}

    def _segment(self, part: str, rows: npt.NDArray[np.int64]) -> Bytes:
        recipe = networks.segmenter_of(self.recipe)
        net = load_network(
            networks.build_segmenter(self.recipe), self.out / "segmenter" / part / WEIGHTS
        )
        spec = networks.segmenter_preprocess(self.recipe)
        nothing = np.zeros(len(self.table), dtype=np.int64)
        data = ViewDataset(self._frames, nothing, rows.tolist(), spec, None)
        probabilities = predict(nn.Sequential(net, nn.Sigmoid()), data, self.machine)[0][:, 0]
        return np.stack([clean_mask(p, recipe.threshold, recipe.fill_holes) for p in probabilities])

    # -- classification ----------------------------------------------------------------------

    def _view(self, member: str) -> Bytes:
        recipe = self.recipe.members[member]
        view = self.recipe.views[recipe.view]
        inputs = {**self._data, "size": recipe.size, **self._view_inputs(member)}
        name = f"{recipe.view}-{recipe.size[1]}x{recipe.size[0]}"
        stage = Stage.of(self.out / "views" / name, inputs)
        masks = None if self.recipe.segmenter is None else self._masks
        return view_at(self.table, masks, view, recipe.size, stage)

    def _view_inputs(self, member: str) -> dict[str, Any]:
        """A whole frame stays the same when the segmenter changes; a crop does not."""
        view = self.recipe.views[self.recipe.members[member].view]
        masks = self._masks_inputs() if view.shows_lesion else None
        return {"view": view.model_dump(), "masks": masks}

    def _member_inputs(self, member: str, part: str) -> dict[str, Any]:
        return {
            **self._data,
            **self._view_inputs(member),
            "member": self.recipe.members[member].model_dump(),
            "seed": self.recipe.seed,
            "training": self.recipe.training_of(member).model_dump(),
            "classes": self.recipe.classes,
            "start": networks.start_of(self.recipe, self.machine.weights),
            "part": part,
            **self._told_inputs(member),
        }

    def _told_inputs(self, member: str) -> dict[str, Any]:
        """Only where a member is told of patients: what others depend on stays as it was."""
        told = self.recipe.metadata
        if told is None or not networks.metadata_width(self.recipe, member):
            return {}
        rows = hashlib.sha256(self._everything_known.tobytes()).hexdigest()
        return {"metadata": told.model_dump(), "known": rows}

    @cached_property
    def _everything_known(self) -> npt.NDArray[np.float32]:
        return self._known_but(())

    def _known_but(self, without: Sequence[str]) -> npt.NDArray[np.float32]:
        told = self.recipe.metadata
        assert told is not None
        known = (metadata(sample) for sample in self.table)
        rows = [{k: v for k, v in row.items() if k not in without} for row in known]
        return np.concatenate([told.encode(row) for row in rows])

    def _known(self, member: str, without: Sequence[str] = ()) -> npt.NDArray[np.float32] | None:
        """What the member is told of each image's patient, but for what is withheld."""
        if not networks.metadata_width(self.recipe, member):
            return None
        return self._known_but(without) if without else self._everything_known

    def _member_stage(self, member: str, part: str) -> Stage:
        return Stage.of(self.out / "members" / member / part, self._member_inputs(member, part))

    def _member(self, member: str, part: str) -> None:
        stage = self._member_stage(member, part)
        if stage.done:
            return
        training = self.recipe.training_of(member)
        view = self._view(member)
        stage.begin()
        backbone = self.recipe.members[member].backbone
        net = networks.build_member(self.recipe, member, hub=self._from_hub(backbone))
        spec = networks.member_preprocess(self.recipe, member)
        rows, stop = self._train_and_stop(self._rows(part), training)
        self._start(net.trunk, backbone, view, rows, spec)
        freeze(net.trunk, self.recipe.members[member].frozen)
        targets, known = self.table.targets, self._known(member)
        weights = class_weights(
            targets[rows].tolist(), len(self.recipe.classes), training.class_weights
        )
        train_network(
            MemberTask(
                net, training, weights, self.recipe.members[member].head_rate,
                [name in self.recipe.positive for name in self.recipe.classes],
            ),
            ViewDataset(view, targets, rows, spec, training.augmentation, known),
            ViewDataset(view, targets, stop, spec, None, known) if stop else None,
            training, stage.folder, self.machine, self.recipe.seed, f"{member} {_named(part)}",
        )  # fmt: skip
        stage.finish()

    def _from_hub(self, backbone: str | None) -> bool:
        return networks.from_hub(self.recipe, self.machine.weights, backbone)

    def _start(
        self, trunk: nn.Module, backbone: str, pixels: Bytes, rows: list[int], spec: PreprocessSpec
    ) -> None:
        """Local weights, if there are any for this backbone."""
        if backbone not in self.machine.weights:
            return
        load_trunk(trunk, self.machine.weights[backbone])
        if has_folded_batchnorm(trunk):
            some = rows[:: max(len(rows) // STATISTICS_IMAGES, 1)]
            data = ViewDataset(pixels, self.table.targets, some, spec, None)
            restore_batchnorm(
                trunk, (images for images, _ in torch.utils.data.DataLoader(data, 16))
            )

    # -- the ensemble ------------------------------------------------------------------------

    def _ensemble_stage(self) -> Stage:
        inputs = {
            "recipe": self.recipe.ensemble and self.recipe.ensemble.model_dump(),
            "seed": self.recipe.seed,
            "members": [  # their order is that of the ensemble's inputs
                [name, [self._member_inputs(name, str(f)) for f in range(self.recipe.folds)]]
                for name in self.recipe.members
            ],
        }
        return Stage.of(self.out / "ensemble", inputs)

    def _ensemble(self) -> dict[str, Any]:
        stage = self._ensemble_stage()
        if not stage.done:
            stage.begin()
            figures = self._fit_ensemble(stage.folder)
            write_json(self.out / "figures.json", figures)
            stage.finish(figures)
        return stage.facts()

    def _fit_ensemble(self, folder: Path) -> dict[str, Any]:
        members = self.out_of_fold()
        targets = self.table.targets
        together = np.zeros((len(targets), len(self.recipe.classes)))
        parts = [*map(str, range(self.recipe.folds)), FINAL]
        if self.recipe.ensemble is None:
            parts, together = [], members[:, 0]
        for part in parts:
            rows = self._rows(part)
            assert self.recipe.ensemble is not None
            net = fit_ensemble(members[rows], targets[rows], self.recipe.ensemble, self.recipe.seed)
            (folder / part).mkdir(exist_ok=True)
            save_network(net, folder / part / WEIGHTS)
            if part != FINAL:
                unseen = np.flatnonzero(self.folds == int(part))
                together[unseen] = combine(net, members[unseen])
        names = tuple(self.recipe.members)
        predictions = OutOfFold(self.table, self.folds, names, members, together)
        predictions.write(self.out / "oof.csv")
        found: dict[str, Any] = {"auc": predictions.figures()}
        if self.recipe.segmenter is not None:
            found["segmentation"] = self._segmentation_figures()
        return found

    def out_of_fold(self, without: Sequence[str] = ()) -> npt.NDArray[np.float64]:
        """Images × members × classes, each by networks that have not seen the image; `without`
        names what of the patients they are not told."""
        shape = (len(self.table), len(self.recipe.members), len(self.recipe.classes))
        result = np.zeros(shape)
        for column, member in enumerate(self.recipe.members):
            view, spec = self._view(member), networks.member_preprocess(self.recipe, member)
            known = self._known(member, without)
            for fold in range(self.recipe.folds):
                rows = np.flatnonzero(self.folds == fold)
                net = load_network(
                    networks.build_member(self.recipe, member),
                    self.out / "members" / member / str(fold) / WEIGHTS,
                )
                data = ViewDataset(view, self.table.targets, rows.tolist(), spec, None, known)
                logits = torch.from_numpy(predict(net, data, self.machine)[0])
                result[rows, column] = torch.softmax(logits.double(), dim=1).numpy()
        return result

    def _segmentation_figures(self) -> dict[str, float]:
        truth = np.load(self.out / "views" / "masks" / "pixels.npy", mmap_mode="r")
        pairs = zip(truth, self._masks, strict=True)
        dice, jaccard = np.mean([overlap(*pair) for pair in pairs], axis=0)
        return {"jaccard": round(float(jaccard), 4), "dice": round(float(dice), 4)}


def _named(part: str) -> str:
    return "on all images" if part == FINAL else f"fold {int(part) + 1}"
