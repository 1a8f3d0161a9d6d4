"""Every exported graph through NVIDIA's real parser and builder, which need no GPU for that.

By the code that `dermedge build` runs: typed as the graph is, checked layer by layer. What it
refuses fails here with the words that a user would see.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest

from export.graphs import to_onnx
from export.system import parts_untrained
from runtime.backends.layer_precision import counted
from runtime.backends.trt_builder import Made, Order, build_plan
from runtime.backends.trt_flavours import flavour
from runtime.bundle_files import LoadedBundle
from runtime.errors import BackendError
from runtime.half import to_half
from tests.calibration.quantising.conv_bundle import quantised
from train.recipe import Recipe
from train.recipe_files import load_recipe, shipped_recipes, variants_of

pytestmark = pytest.mark.slow

GRAPHS = ("segmenter", "first", "second", "ensemble")


@pytest.fixture(scope="module", autouse=True)
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")


def build(content: bytes, precision: str) -> Made:
    return build_plan(flavour("tensorrt_rtx"), Order("models/m.onnx", content, precision))


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("made", ["exported", "exported_half"])
def test_it_is_parsed_and_built(request: pytest.FixtureRequest, made: str, name: str) -> None:
    bundle: LoadedBundle = request.getfixturevalue(made)
    variant = bundle.spec.models[name].variants[0]
    built = build((bundle.path / variant.file).read_bytes(), variant.precision)
    assert built.plan
    assert variant.precision in counted(built.layers)
    assert built.checked_on == "engine"


def test_the_builder_does_refuse(exported: LoadedBundle) -> None:
    graph = onnx.load(str(exported.path / "models" / "first.onnx"))
    graph.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(BackendError) as caught:
        build(graph.SerializeToString(), "fp32")
    assert "cannot parse models/m.onnx" in caught.value.what
    assert "NoSuchOperator" in str(caught.value.got)


def networks(recipe: Recipe) -> dict[str, str]:
    """What each part of a system is, but for what only training knows and how many classes."""
    found = {}
    if (segmenter := recipe.segmenter) is not None:
        found["segmenter"] = f"{segmenter.network} {segmenter.size} {segmenter.colour}"
    if recipe.purifies_always:
        found["purifier"] = str(recipe.purifier)
    for name, own in recipe.members.items():
        learnt = {"training", "frozen", "head_rate", "dropout", "view", "mean", "std"}
        found[name] = f"{own.model_dump(exclude=learnt)} {recipe.mirror_images}"
    if recipe.ensemble is not None:
        found["ensemble"] = f"{recipe.ensemble.described} of {len(recipe.members)}"
    return found


def full_size() -> Iterator[Any]:
    """Each recipe, and each variant that has a network which none before it has. Not the light
    ones: those are small, and train."""
    seen: set[str] = set()
    for shipped in shipped_recipes():
        names = [shipped, *(f"{shipped}/{variant}" for variant in variants_of(shipped))]
        for name in names:
            what = networks(load_recipe(name))
            new = [part for part, network in what.items() if network not in seen]
            if new and "light" not in name:
                seen |= set(what.values())
                yield pytest.param(name, new, id=name)


@pytest.mark.parametrize(("recipe", "parts"), list(full_size()))
def test_every_network_at_full_size(recipe: str, parts: list[str]) -> None:
    """With random weights: what a builder refuses are operators, types and sizes."""
    refused: dict[str, str] = {}
    for part in parts_untrained(load_recipe(recipe)):
        if part.name not in parts:
            continue
        graph = to_onnx(part.graph, *part.shapes)
        try:
            if part.always_float:
                assert build(graph.SerializeToString(), "fp32").checked_on == "engine"
            else:
                probe = np.random.default_rng(0).random((1, *part.shapes[0]), dtype=np.float32)
                half = to_half(graph, [{part.graph.inputs[0]: probe}])
                assert build(half.SerializeToString(), "fp16").checked_on == "engine"
                assert build(quantised(half), "int8").checked_on == "engine"
        except BackendError as error:
            refused[part.name] = str(error)
        gc.collect()  # the exporter leaves cycles, each with a copy of the weights
    assert refused == {}
