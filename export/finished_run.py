"""What training leaves behind, read for export: recipe, data, figures and every network's weights.

A run has one set of networks for each fold, and `final`, trained on all images: the one that ships.
A fold's set is for measuring: it comes with the ids of the images it has not seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from runtime.bundle import DataSet, Provenance
from runtime.errors import InputError, UsageError
from train import networks
from train.combiners import load_combiner
from train.models.purification import PurificationNet
from train.models.unlikeness import Unlikeness
from train.recipe import Recipe
from train.recipe_files import parse_recipe
from train.stage import STAMP
from train.stages.classifying import trained_place
from train.trainer import WEIGHTS, load_network

FINAL = "final"

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class FinishedRun:
    folder: Path
    recipe: Recipe
    data: dict[str, Any]
    figures: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> FinishedRun:
        if not (folder / "recipe.json").is_file():
            raise UsageError(
                f"{folder} is not the folder of a run.",
                got="no recipe.json in it" if folder.is_dir() else "no folder at that path",
                expected="what `dermedge train --out` wrote",
            )
        recipe = parse_recipe((folder / "recipe.json").read_text("utf-8"), "recipe.json")
        return cls(folder, recipe, _read(folder, "data.json"), _read(folder, "figures.json"))

    def part(self, fold: int | None) -> str:
        """The name of a set of networks: that of a fold, or the final one."""
        if fold is not None and not 0 <= fold < self.recipe.folds:
            raise UsageError(
                "The run has no such fold.",
                got=f"--fold {fold}",
                expected=f"0 to {self.recipe.folds - 1}, as in the column `fold` of oof.csv",
            )
        return FINAL if fold is None else str(fold)

    def segmenter(self, part: str) -> nn.Module:
        return self._filled(networks.build_segmenter(self.recipe), f"segmenter/{part}")

    def purifier(self, part: str) -> PurificationNet:
        return self._filled(networks.build_purifier(self.recipe), f"purifier/{part}")

    def member(self, name: str, part: str) -> networks.Classifier:
        net = networks.build_member(self.recipe, name)
        return self._filled(net, trained_place(self.recipe, name, part))

    def unlikeness(self, name: str, part: str) -> Unlikeness | None:
        """Of a member that the recipe asks for it."""
        if name not in self.recipe.unlikeness:
            return None
        net = networks.build_unlikeness(networks.build_member(self.recipe, name))
        return self._filled(net, f"unlikeness/{name}/{part}")

    def combiner(self, part: str) -> networks.Combiner:
        return self._read_net(
            lambda file: load_combiner(self.recipe, file), f"ensemble/{part}", stamp="ensemble"
        )

    def provenance(self, fold: int | None, revision: str) -> Provenance:
        held_out = [name for name, own in self.data["folds"].items() if own == fold]
        return Provenance(
            revision=revision,
            data=tuple(
                DataSet(name=each["name"], sha256=each["sha256"], images=each["images"])
                for each in (self.data, *self.data.get("masks", ()))
            ),
            fold=fold,
            held_out=tuple(held_out),
            metrics=dict(flat(self.figures)) | dict(flat({"images": self.data["counts"]})),
        )

    def _filled(self, net: Net, place: str) -> Net:
        def fill(file: Path) -> Net:
            load_network(net, file)
            return net

        return self._read_net(fill, place, stamp=place)

    def _read_net(self, read: Callable[[Path], Net], place: str, *, stamp: str) -> Net:
        """A stage's stamp is written when it is done; weights without one may be half trained."""
        file = self.folder / place / WEIGHTS
        if not file.is_file() or not (self.folder / stamp / STAMP).is_file():
            raise UsageError(
                f"The run is not finished: {place} is still to be trained.",
                got=f"no {WEIGHTS}" if not file.is_file() else f"no {STAMP}",
                remedy=_go_on(self.folder),
            )
        try:
            return read(file)
        except Exception as exc:  # safetensors has no error class of its own to name
            raise InputError(
                f"The weights of {place} do not fit the run's recipe.",
                got=str(exc).strip().splitlines()[0],
                remedy="train again: recipe.json was changed since, or the file is damaged",
            ) from exc


def _go_on(folder: Path) -> str:
    """`reproduce` trains no networks that ship, and leaves the rest to this as well."""
    return (
        f"dermedge train --recipe {folder / 'recipe.json'} --out {folder}, with the --data, "
        "--masks, --weights and --split that it was begun with: what is done is then not trained "
        "again"
    )


def flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested figures under dotted names: auc.all.ensemble.mean.low."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / name).read_text(encoding="utf-8")))
    except FileNotFoundError as exc:
        raise UsageError(
            "The run is not finished.",
            got=f"no {name} in {folder}",
            remedy=_go_on(folder),
        ) from exc
    except (OSError, ValueError) as exc:
        raise InputError(f"{folder / name} cannot be read.", got=exc) from exc
