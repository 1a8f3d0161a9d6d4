"""Every exported graph through NVIDIA's real parser and builder, which need no GPU for that.

By the code that `dermedge build` runs: typed as the graph is, checked layer by layer. What it
refuses fails here with the words that a user would see.
"""

from __future__ import annotations

import gc

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
from train.recipe_files import load_recipe

pytestmark = pytest.mark.slow

GRAPHS = ("segmenter", "first", "second", "ensemble")
FULL_SIZE = (
    "bhardwaj", "bhardwaj/eight_vgg", "bisla", "ding", "goel", "goel/unet_scratch", "zoome",
)  # fmt: skip


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


@pytest.mark.parametrize("recipe", FULL_SIZE)
def test_every_network_of_a_full_size_bundle(recipe: str) -> None:
    """With random weights: what a builder refuses are operators, types and sizes."""
    refused: dict[str, str] = {}
    for part in parts_untrained(load_recipe(recipe)):
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
