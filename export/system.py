"""A run's networks as one system: every graph to export, and how a bundle joins them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from export.acquisition import ACQUISITION
from export.finished_run import FinishedRun
from export.graphs import EnsembleGraph, Graph, MemberGraph, SegmenterGraph
from runtime.errors import UsageError
from runtime.specs import PreprocessSpec, ViewSpec
from train import networks
from train.models.locally_connected import LocallyConnected
from train.models.member import Member
from train.recipe import Recipe

SEGMENTER, ENSEMBLE = "segmenter", "ensemble"
EXPLAINS = "_heatmap"
FRAME = "frame"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,59}")


@dataclass(frozen=True)
class Part:
    """One network of the system. What combines others stays in float32: it is tiny and last."""

    name: str
    graph: Graph
    shape: tuple[int, ...]  # of its input, without the batch
    always_float: bool = False


def parts_of(run: FinishedRun, fold: int | None) -> Iterator[Part]:
    """The trained networks of a run, each loaded when it is asked for."""
    part = run.part(fold)
    _check_names(run.recipe)
    return _parts(
        run.recipe,
        lambda: run.segmenter(part),
        lambda name: run.member(name, part),
        lambda: run.ensemble(part),
    )


def parts_untrained(recipe: Recipe) -> Iterator[Part]:
    """The same networks with random weights: as fast, and there without any training."""
    count = (len(recipe.members), len(recipe.classes))
    return _parts(
        recipe,
        lambda: networks.build_segmenter(recipe),
        lambda name: networks.build_member(recipe, name),
        lambda: LocallyConnected(*count, recipe.ensemble.filters),
    )


def _parts(
    recipe: Recipe,
    segmenter: Callable[[], nn.Module],
    member: Callable[[str], Member],
    ensemble: Callable[[], LocallyConnected],
) -> Iterator[Part]:
    yield Part(SEGMENTER, SegmenterGraph(segmenter()), (3, *recipe.segmenter.size))
    for name, own in recipe.members.items():
        yield Part(name, MemberGraph(member(name), own.size), (3, *own.size))
    count = (len(recipe.members), len(recipe.classes))
    yield Part(ENSEMBLE, EnsembleGraph(ensemble()), count, always_float=True)


def system_fields(recipe: Recipe) -> dict[str, Any]:
    """bundle.json as far as the recipe says it: all but provenance, golden images and files."""
    frame = _frame_view(recipe)
    used = {member.view for member in recipe.members.values()}
    views = {name: view for name, view in recipe.views.items() if name in used}
    views |= {frame: ViewSpec()}
    image = networks.member_preprocess
    sees = {
        name: [_image(member.view, image(recipe, name))] for name, member in recipe.members.items()
    }
    return {
        "recipe": recipe.name,
        "intended_use": recipe.intended_use,
        "classes": list(recipe.classes),
        "positive": list(recipe.positive),
        "models": {
            SEGMENTER: _model([_image(frame, networks.segmenter_preprocess(recipe))], "mask"),
            **{name: _model(inputs, *MemberGraph.decides) for name, inputs in sees.items()},
            **{
                explains(name): _model(inputs, MemberGraph.explains)
                for name, inputs in sees.items()
            },
            ENSEMBLE: _model([{"kind": "members", "name": "members"}], "probabilities"),
        },
        "views": {name: view.model_dump() for name, view in views.items()},
        "chain": {
            "segment": {
                "model": SEGMENTER,
                "threshold": recipe.segmenter.threshold,
                "fill_holes": recipe.segmenter.fill_holes,
            },
            "classify": list(recipe.members),
            "combine": {"model": ENSEMBLE, "takes": "probabilities"},
            "explain": {"models": [explains(name) for name in recipe.members]},
        },
        "decision": {"score": recipe.score},
        "quality": ACQUISITION,
    }


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
        taken = name in (SEGMENTER, ENSEMBLE) or name.endswith(EXPLAINS)
        if taken or not PLAIN_NAME.fullmatch(name):
            raise UsageError(
                "A member of the recipe cannot be called that in a bundle.",
                got=repr(name),
                expected=f"letters, digits, - and _; not {SEGMENTER} or {ENSEMBLE}, and not "
                f"ending in {EXPLAINS}",
                remedy="rename it in the recipe and in the run's folder `members`",
            )
