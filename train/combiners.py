"""Fitting what joins the members, whichever kind a recipe asks for.

What it would reach on new images is estimated by crossing the folds once more: for each fold it is
fitted on the others and asked about that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from train.ensemble import fit_ensemble
from train.logistic import fit_logistic
from train.models.mean import Mean
from train.networks import Combiner, build_combiner
from train.recipe import Recipe
from train.recipe_parts.combiners import LogisticRecipe, MeanRecipe, SvmRecipe
from train.svm import fit_machines, with_platt
from train.trainer import load_network

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """What members say of every image, by part, and the images that a part has not seen.

    A part of all images has seen every one. Probabilities are those out of fold, the same for all
    parts; features are a part's own, because no two networks mean the same by theirs.
    """

    said: Mapping[str, Floats]
    unseen: Mapping[str, Codes]
    targets: Codes
    known: Floats  # images × numbers that the combiner is told of their patients, or none
    nothing: Floats  # the same numbers of an unknown patient

    def seen(self, part: str) -> Codes:
        return np.setdiff1d(np.arange(len(self.targets)), self.unseen[part])


def fit_combiners(recipe: Recipe, material: Material) -> dict[str, Combiner]:
    """One for each part."""
    how = recipe.ensemble
    assert how is not None
    if isinstance(how, MeanRecipe):
        return {part: Mean() for part in material.said}
    if isinstance(how, SvmRecipe):
        return _svms(how, material, len(recipe.classes), recipe.seed)
    found: dict[str, Combiner] = {}
    for part, said in material.said.items():
        rows = material.seen(part)
        fitted_on = said[rows], material.targets[rows]
        if isinstance(how, LogisticRecipe):
            known = material.known[rows]
            found[part] = fit_logistic(*fitted_on, known, material.nothing, how)
        else:
            found[part] = fit_ensemble(*fitted_on, how, recipe.seed)
    return found


def _svms(recipe: SvmRecipe, material: Material, classes: int, seed: int) -> dict[str, Combiner]:
    """Margins on images a machine was fitted on are larger than on new ones: what a margin is worth
    is learnt from each fold's machine on its own fold, and for a fold from the others'."""
    machines, margins = {}, {}
    for part, said in material.said.items():
        rows = material.seen(part)
        machines[part] = fit_machines(said[rows], material.targets[rows], classes, recipe, seed)
        margins[part] = combine(machines[part].margins, said[material.unseen[part]])
    found: dict[str, Combiner] = {}
    for part, machine in machines.items():
        others = [p for p in machines if p != part and len(margins[p])]
        rows = np.concatenate([material.unseen[p] for p in others])
        worth = np.concatenate([margins[p] for p in others])
        found[part] = with_platt(machine, worth, material.targets[rows])
    return found


def load_combiner(recipe: Recipe, file: Path) -> Combiner:
    """How many vectors support a machine is known from its file alone."""
    machines = isinstance(recipe.ensemble, SvmRecipe)
    net = build_combiner(recipe, len(load_file(file)["supports"]) if machines else 0)
    load_network(net, file)
    return net


@torch.inference_mode()
def combine(net: Callable[..., torch.Tensor], said: Floats, known: Floats | None = None) -> Floats:
    """`known`: what it is told of each patient, if it is told."""
    given = [said] if known is None or not known.shape[1] else [said, known]
    answer: torch.Tensor = net(*(torch.as_tensor(one, dtype=torch.float32) for one in given))
    return np.asarray(answer.double().numpy())
