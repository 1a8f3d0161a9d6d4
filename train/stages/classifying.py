"""The members, one a fold and one that ships, and what each says of images it has not seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import ConcatDataset, Dataset

from train import networks
from train.data.table import metadata
from train.datasets import ViewDataset
from train.freezing import freeze
from train.models.heat_maps import HEAT_MAPS
from train.models.member import Member
from train.models.mirrored import Mirrored
from train.models.unlikeness import REDUCTIONS, SHRINK, PooledDepths, fit_unlikeness
from train.recipe import Recipe
from train.recipe_parts.members import PooledRecipe
from train.sampling import balanced
from train.stage import Stage
from train.stages.purifying import Purifying
from train.stages.run import Run, named
from train.stages.segmenting import Segmenting
from train.stages.synthesising import Synthesising
from train.tasks import MemberTask, class_weights
from train.trainer import WEIGHTS, load_network, measure_statistics, predict, save_network
from train.views import Bytes, view_at

Floats = npt.NDArray[np.float64]
CLEAN_BATCH = 64  # images that statistics are measured on at a time
PURIFICATION = "purification"  # as what may be withheld, beside the names of metadata


def trained_place(recipe: Recipe, member: str, part: str) -> str:
    """Where in a run's folder a member's finished weights lie."""
    return f"{'statistics' if recipe.clean_statistics else 'members'}/{member}/{part}"


@dataclass(frozen=True)
class Classifying:
    run: Run
    segmenting: Segmenting | None
    purifying: Purifying | None
    synthesising: Synthesising | None

    # -- what a member looks at, and what it is told -------------------------------------------

    def _view(self, member: str) -> Bytes:
        """What it will look at on a device."""
        own = self.run.recipe.members[member]
        if self.purifying is not None and self._sees_purified(member):
            return self.purifying.view(own.view, own.size)
        return self._raw(member)

    def _other_form(self, member: str) -> Bytes | None:
        """Purified, where it looks at pictures as they are, or the other way round."""
        if self.purifying is None:
            return None
        own = self.run.recipe.members[member]
        purified = self._sees_purified(member)
        return self._raw(member) if purified else self.purifying.view(own.view, own.size)

    def _sees_purified(self, member: str) -> bool:
        return self.run.recipe.views[self.run.recipe.members[member].view].source == "purified"

    def _raw(self, member: str) -> Bytes:
        run, recipe = self.run, self.run.recipe.members[member]
        inputs = {**run.data_inputs, "size": recipe.size, **self._view_inputs(member)}
        name = f"{recipe.view}-{recipe.size[1]}x{recipe.size[0]}"
        stage = run.stage(f"views/{name}", inputs)
        masks = None if self.segmenting is None else self.segmenting.masks
        return view_at(run.table, masks, run.recipe.views[recipe.view], recipe.size, stage)

    def _view_inputs(self, member: str) -> dict[str, Any]:
        """A whole frame stays the same when the segmenter changes; a crop does not."""
        view = self.run.recipe.views[self.run.recipe.members[member].view]
        shown = self.segmenting if view.shows_lesion else None
        return {"view": view, "masks": shown and shown.masks_inputs()}

    def _made(self, member: str, part: str) -> tuple[Bytes, npt.NDArray[np.int64]] | None:
        """Synthetic pictures for its training, and their classes."""
        if self.synthesising is None:
            return None
        own = self.run.recipe.members[member]
        return self.synthesising.at(part, own.view, own.size)

    @cached_property
    def everything_known(self) -> npt.NDArray[np.float32]:
        return self._known_but(())

    def _known_but(self, without: Sequence[str]) -> npt.NDArray[np.float32]:
        told = self.run.recipe.metadata
        assert told is not None
        known = (metadata(sample) for sample in self.run.table)
        rows = [{k: v for k, v in row.items() if k not in without} for row in known]
        return np.concatenate([told.encode(row) for row in rows])

    def _known(self, member: str, without: Sequence[str] = ()) -> npt.NDArray[np.float32] | None:
        """What the member is told of each image's patient, but for what is withheld."""
        if not networks.metadata_width(self.run.recipe, member):
            return None
        return self._known_but(without) if without else self.everything_known

    def _told_inputs(self, member: str) -> dict[str, Any]:
        """Only where a member is told of patients: what others depend on stays as it was."""
        told = self.run.recipe.metadata
        if told is None or not networks.metadata_width(self.run.recipe, member):
            return {}
        rows = hashlib.sha256(self.everything_known.tobytes()).hexdigest()
        return {"metadata": told, "known": rows}

    # -- training ------------------------------------------------------------------------------

    def inputs(self, member: str, part: str) -> dict[str, Any]:
        recipe = self.run.recipe
        return {
            **self.run.data_inputs,
            **self.run.start_inputs,
            **self._view_inputs(member),
            "member": recipe.members[member],
            "training": recipe.training_of(member),
            "classes": recipe.classes,
            "part": part,
            **self._told_inputs(member),
            **({"positive": recipe.positive} if recipe.training_of(member).focal else {}),
            **({"purified": self.purifying.inputs()} if self.purifying else {}),
            **({"synthetic": self.synthesising.inputs(part)} if self.synthesising else {}),
        }

    def stage(self, member: str, part: str) -> Stage:
        return self.run.stage(f"members/{member}/{part}", self.inputs(member, part))

    def train(self, member: str, part: str) -> None:
        stage, run = self.stage(member, part), self.run
        if stage.done:
            return
        training, own = run.recipe.training_of(member), run.recipe.members[member]
        view, other = self._view(member), self._other_form(member)
        made = self._made(member, part)
        stage.begin()
        label = f"{member} {named(part)}"
        run.seed(label)
        net = networks.build_member(run.recipe, member, hub=run.from_hub(own.backbone))
        spec = networks.member_preprocess(run.recipe, member)
        rows, stop = run.train_and_stop(run.rows(part), training)
        run.start(net.trunk, own.backbone, view, rows, spec)
        freeze(net.trunk, own.frozen)
        targets, known = run.table.targets, self._known(member)
        shown: Dataset[Any] = ViewDataset(view, targets, rows, spec, training.augmentation, known)
        labels = targets[rows]
        if other is not None:
            twice = [row for row in rows if not np.array_equal(view[row], other[row])]
            more = ViewDataset(other, targets, twice, spec, training.augmentation, known)
            shown, labels = ConcatDataset([shown, more]), np.concatenate([labels, targets[twice]])
        if made is not None:
            codes = made[1]
            more = ViewDataset(*made, range(len(codes)), spec, training.augmentation)
            shown, labels = ConcatDataset([shown, more]), np.concatenate([labels, codes])
        weights = class_weights(labels.tolist(), run.recipe.classes, training.class_weights)
        positive = [name in run.recipe.positive for name in run.recipe.classes]
        took = run.fit(
            MemberTask(net, training, weights, own.head_rate, positive),
            balanced(shown, labels) if training.sampling == "balanced" else shown,
            ViewDataset(view, targets, stop, spec, None, known) if stop else None,
            training,
            stage,
            label,
        )
        stage.finish(took)

    # -- once it is trained --------------------------------------------------------------------

    def trained_inputs(self, member: str, part: str) -> dict[str, Any]:
        """What its finished weights depend on."""
        inputs = self.inputs(member, part)
        clean = {"clean_statistics": CLEAN_BATCH} if self.run.recipe.clean_statistics else {}
        return inputs | clean

    def trained_stage(self, member: str, part: str) -> Stage:
        place = trained_place(self.run.recipe, member, part)
        return self.run.stage(place, self.trained_inputs(member, part))

    def measure_statistics(self, member: str, part: str) -> None:
        """Of the images that the member was trained on, as a device would see them."""
        stage, run = self.trained_stage(member, part), self.run
        if stage.done:
            return
        stage.begin()
        net = networks.build_member(run.recipe, member)
        load_network(net, self.stage(member, part).folder / WEIGHTS)
        freeze(net.trunk, run.recipe.members[member].frozen)
        rows = run.train_and_stop(run.rows(part), run.recipe.training_of(member))[0]
        spec, known = networks.member_preprocess(run.recipe, member), self._known(member)
        data = ViewDataset(self._view(member), run.table.targets, rows, spec, None, known)
        measure_statistics(net, data, run.machine, CLEAN_BATCH, run.recipe.seed)
        save_network(net, stage.folder / WEIGHTS)
        stage.finish()

    # -- how unlike an image is ----------------------------------------------------------------

    def unlikeness_stage(self, member: str, part: str) -> Stage:
        member_inputs = self.trained_inputs(member, part)
        inputs = {"member": member_inputs, "reductions": REDUCTIONS, "shrink": SHRINK}
        return self.run.stage(f"unlikeness/{member}/{part}", inputs)

    def fit_unlikeness(self, member: str, part: str) -> None:
        """On the images that the member was trained on, as a device would see them."""
        stage = self.unlikeness_stage(member, part)
        if stage.done:
            return
        stage.begin()
        run, net = self.run, self._trained(member, part)
        spec = networks.member_preprocess(run.recipe, member)
        data = ViewDataset(
            self._view(member), run.table.targets, run.rows(part).tolist(), spec, None
        )
        pooled = predict(PooledDepths(networks.cut_trunk(net)), data, run.machine)[0]
        save_network(fit_unlikeness(torch.from_numpy(pooled)), stage.folder / WEIGHTS)
        stage.finish()

    def seconds(self, member: str) -> list[float | None]:
        """How long each fold's network took."""
        return [self.stage(member, part).facts()["seconds"] for part in self.run.fold_parts]

    # -- asking --------------------------------------------------------------------------------

    def out_of_fold(self, without: Sequence[str] = ()) -> Floats:
        """Images × members × classes, each by networks that have not seen the image; `without`
        names what is withheld from them: PURIFICATION, or what is known of the patients."""
        recipe = self.run.recipe
        result = np.zeros((len(self.run.table), len(recipe.members), len(recipe.classes)))
        for column, member in enumerate(recipe.members):
            for part in self.run.fold_parts:
                rows = self.run.unseen(part)
                logits = torch.from_numpy(self._ask(member, part, rows, without)[0])
                result[rows, column] = torch.softmax(logits.double(), dim=1).numpy()
        return result

    def features(self, part: str) -> Floats:
        """Images × members × features, of all images by one part's networks."""
        everyone = np.arange(len(self.run.table))
        said = [self._ask(member, part, everyone)[1] for member in self.run.recipe.members]
        return np.stack(said, axis=1).astype(np.float64)

    def looks(self, member: str, rows: npt.NDArray[np.int64]) -> tuple[Bytes, Floats]:
        """What it sees of some images, and where it looks there: by networks that have not seen
        them."""
        own, view = self.run.recipe.members[member], self._view(member)
        assert isinstance(own, PooledRecipe)
        spec = networks.member_preprocess(self.run.recipe, member)
        heats = np.zeros((len(rows), *own.size))
        for place, row in enumerate(rows.tolist()):
            net = self._trained(member, str(self.run.folds[row]))
            assert isinstance(net, Member)
            data = ViewDataset(view, self.run.table.targets, [row], spec, None)
            asked = Mirrored(HEAT_MAPS[own.heatmap](net, own.size), self.run.recipe.mirror_images)
            heats[place] = predict(asked, data, self.run.machine)[2]
        return np.asarray(view[rows]), heats

    def _trained(self, member: str, part: str) -> networks.Classifier:
        net = networks.build_member(self.run.recipe, member)
        load_network(net, self.trained_stage(member, part).folder / WEIGHTS)
        return net.eval()

    def _ask(
        self, member: str, part: str, rows: npt.NDArray[np.int64], without: Sequence[str] = ()
    ) -> list[np.ndarray]:
        """Logits and features."""
        net = self._trained(member, part)
        spec = networks.member_preprocess(self.run.recipe, member)
        known = self._known(member, without)
        view = self._raw(member) if PURIFICATION in without else self._view(member)
        data = ViewDataset(view, self.run.table.targets, rows.tolist(), spec, None, known)
        alone = isinstance(net, Member)  # not told of a patient beside the picture
        asked = Mirrored(net, self.run.recipe.mirror_images) if alone else net
        return predict(asked, data, self.run.machine)
