"""A run's networks as one system: every graph to export, and how a bundle joins them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from export.acquisition import ACQUISITION
from export.finished_run import FinishedRun
from export.graphs import (
    EnsembleGraph,
    Graph,
    MemberGraph,
    PurifierGraph,
    SegmenterGraph,
    ZooMeGraph,
)
from runtime.errors import UsageError
from runtime.specs import CHANNELS, PreprocessSpec, ViewSpec
from train import networks
from train.models.purification import PurificationNet
from train.models.unlikeness import Unlikeness
from train.models.zoome import ZooMe
from train.recipe import Recipe
from train.recipe_parts.combiners import SvmRecipe
from train.recipe_parts.members import PooledRecipe
from train.recipe_parts.purifiers import ModelPurifier

SEGMENTER, PURIFIER, ENSEMBLE = "segmenter", "purifier", "ensemble"
EXPLAINS = "_heatmap"
FRAME = "frame"
TOLD = {"kind": "metadata", "name": "metadata"}
SUPPORTS = 1000  # vectors of an untrained machine, as a few thousand images leave
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,59}")


@dataclass(frozen=True)
class Part:
    """One network of the system. What combines others stays in float32: it is tiny and last."""

    name: str
    graph: Graph
    shapes: tuple[tuple[int, ...], ...]  # of its inputs, without the batch
    always_float: bool = False

    @property
    def sees(self) -> bool:
        """Whether the first of its inputs is an image."""
        return len(self.shapes[0]) == 3


def parts_of(run: FinishedRun, fold: int | None) -> Iterator[Part]:
    """The trained networks of a run, each loaded when it is asked for."""
    part = run.part(fold)
    _check_names(run.recipe)
    return _parts(
        run.recipe,
        lambda: run.segmenter(part),
        lambda: run.purifier(part),
        lambda name: run.member(name, part),
        lambda name, _: run.unlikeness(name, part),
        lambda: run.combiner(part),
    )


def parts_untrained(recipe: Recipe) -> Iterator[Part]:
    """The same networks with random weights: as fast, and there without any training."""
    joined = recipe.ensemble
    supports = SUPPORTS if isinstance(joined, SvmRecipe) and joined.kernel == "rbf" else 0
    return _parts(
        recipe,
        lambda: networks.build_segmenter(recipe),
        lambda: networks.build_purifier(recipe),
        lambda name: networks.build_member(recipe, name),
        lambda name, net: networks.build_unlikeness(net) if name in recipe.unlikeness else None,
        lambda: networks.build_combiner(recipe, supports),
    )


def _parts(
    recipe: Recipe,
    segmenter: Callable[[], nn.Module],
    purifier: Callable[[], PurificationNet],
    member: Callable[[str], networks.Classifier],
    unlikeness: Callable[[str, networks.Classifier], Unlikeness | None],
    combiner: Callable[[], networks.Combiner],
) -> Iterator[Part]:
    if recipe.segmenter is not None:
        channels = CHANNELS[recipe.segmenter.colour]
        yield Part(SEGMENTER, SegmenterGraph(segmenter()), ((channels, *recipe.segmenter.size),))
    if purifies_by_model(recipe):
        size = networks.purifier_of(recipe).size
        yield Part(PURIFIER, PurifierGraph(purifier()), ((3, *size),))
    for name, own in recipe.members.items():
        net = member(name)
        graph: Graph
        if isinstance(net, ZooMe):
            graph = ZooMeGraph(net)
        else:
            assert isinstance(own, PooledRecipe)
            doubt, images = unlikeness(name, net), recipe.mirror_images
            graph = MemberGraph(net, own.size, own.heatmap, doubt, images)
        told = networks.metadata_width(recipe, name)
        yield Part(name, graph, ((3, *own.size), *([(told,)] if told else [])))
    if recipe.ensemble is not None:
        taken, told = networks.combiner_input(recipe), networks.combiner_told(recipe)
        shapes = (taken, (told,)) if told else (taken,)
        yield Part(ENSEMBLE, EnsembleGraph(combiner(), told), shapes, always_float=True)


def system_fields(recipe: Recipe) -> dict[str, Any]:
    """bundle.json as far as the recipe says it: all but provenance, golden images and files."""
    used = {member.view for member in recipe.members.values()}
    views = {name: view for name, view in recipe.views.items() if name in used}
    if recipe.segmenter is not None or purifies_by_model(recipe):
        views[_frame_view(recipe)] = ViewSpec()
    explained = [explains(name) for name in _explained(recipe)]
    joined = recipe.ensemble
    return {
        "recipe": recipe.name,
        "intended_use": recipe.intended_use,
        "classes": list(recipe.classes),
        "positive": list(recipe.positive),
        "models": _models(recipe),
        "views": {name: view.model_dump() for name, view in views.items()},
        "chain": {
            "segment": _segment(recipe),
            "purify": _purify(recipe),
            "classify": list(recipe.members),
            "combine": {"model": ENSEMBLE, "takes": joined.takes} if joined else None,
            "explain": {"models": explained} if explained else None,
            "metadata": recipe.metadata and recipe.metadata.model_dump(),
        },
        "decision": {"score": recipe.score},
        "quality": ACQUISITION,
    }


def _models(recipe: Recipe) -> dict[str, Any]:
    sees = {name: _inputs(recipe, name) for name in recipe.members}
    found = {}
    if recipe.segmenter is not None:
        image = _image(_frame_view(recipe), networks.segmenter_preprocess(recipe))
        found[SEGMENTER] = _model([image], "mask")
    if purifies_by_model(recipe):
        image = _image(_frame_view(recipe), networks.purifier_preprocess(recipe))
        painted = {"name": PurifierGraph.outputs[0], "role": "image"}
        found[PURIFIER] = {"inputs": [image], "outputs": [painted]}
    for name, inputs in sees.items():
        found[name] = _model(inputs, *MemberGraph.deciding(name in recipe.unlikeness))
    found |= {explains(n): _model(sees[n], MemberGraph.explains) for n in _explained(recipe)}
    if recipe.ensemble is not None:
        given = [{"kind": "members", "name": "members"}]
        given += [TOLD] if networks.combiner_told(recipe) else []
        found[ENSEMBLE] = _model(given, "probabilities")
    return found


def _inputs(recipe: Recipe, name: str) -> list[dict[str, Any]]:
    image = _image(recipe.members[name].view, networks.member_preprocess(recipe, name))
    return [image, TOLD] if networks.metadata_width(recipe, name) else [image]


def _segment(recipe: Recipe) -> dict[str, Any] | None:
    part = recipe.segmenter
    if part is None:
        return None
    return {"model": SEGMENTER, "threshold": part.threshold, "fill_holes": part.fill_holes}


def purifies_by_model(recipe: Recipe) -> bool:
    """Whether the system has a network for it: one that only made training images stays behind."""
    return recipe.purifies_always and isinstance(recipe.purifier, ModelPurifier)


def _purify(recipe: Recipe) -> dict[str, Any] | None:
    if not recipe.purifies_always:
        return None
    if purifies_by_model(recipe):
        return {"method": "model", "model": PURIFIER}
    return {"method": "classical"}


def _explained(recipe: Recipe) -> list[str]:
    """Members that have a heat map in their files."""
    return [name for name, own in recipe.members.items() if isinstance(own, PooledRecipe)]


def explains(member: str) -> str:
    """The name of the model that is a member's heat map."""
    return f"{member}{EXPLAINS}"


def _model(inputs: list[dict[str, Any]], *roles: str) -> dict[str, Any]:
    return {"inputs": inputs, "outputs": [{"name": role, "role": role} for role in roles]}


def _image(view: str, preprocess: PreprocessSpec) -> dict[str, Any]:
    return {"kind": "image", "name": "image", "view": view, "preprocess": preprocess.model_dump()}


def _frame_view(recipe: Recipe) -> str:
    """The name under which the recipe has the whole frame, or a new one."""
    for name, view in recipe.views.items():
        if view == ViewSpec():
            return name
    return FRAME if FRAME not in recipe.views else f"whole_{FRAME}"


def _check_names(recipe: Recipe) -> None:
    """A member's name becomes that of a file."""
    for name in recipe.members:
        taken = name in (SEGMENTER, PURIFIER, ENSEMBLE) or name.endswith(EXPLAINS)
        if taken or not PLAIN_NAME.fullmatch(name):
            raise UsageError(
                "A member of the recipe cannot be called that in a bundle.",
                got=repr(name),
                expected=f"letters, digits, - and _; not {SEGMENTER}, {PURIFIER} or {ENSEMBLE}, "
                f"and not ending in {EXPLAINS}",
                remedy="rename it in the recipe and in the run's folder `members`",
            )
