"""Small graphs through NVIDIA's own parser and builder, which need no GPU for that."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.backends.layer_precision import counted, multiplying
from runtime.backends.trt_builder import Order, build_plan
from runtime.backends.trt_flavours import Flavour, flavour
from runtime.bundle_files import load_bundle
from runtime.demo import BUNDLE
from runtime.errors import BackendError
from tests.bundle_factory import WEIGHTS, mean_of_members, member, model, segmenter

DEMO = load_bundle(BUNDLE, verify=False)


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    return flavour("tensorrt_rtx")


def convolutions(half: bool = False, quantised: bool = False) -> bytes:
    """Two convolutions; the second between Q and DQ in the form that TensorRT takes."""
    kind = np.float16 if half else np.float32
    rng = np.random.default_rng(0)
    constants = {"first": rng.standard_normal((16, 3, 3, 3)).astype(kind)}
    end = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=end),
        helper.make_node("Conv", ["cast", "first"], ["one"], name="conv_one"),
        helper.make_node("Relu", ["one"], ["relu"]),
    ]
    source, weights = "relu", "second"
    if quantised:
        constants |= {"scale": kind(0.05), "zero": np.int8(0), "zeros": np.zeros(16, np.int8)}
        constants["scales"] = np.full(16, 0.02, kind)
        constants["second"] = rng.integers(-127, 128, (16, 16, 3, 3)).astype(np.int8)
        nodes += [
            helper.make_node("QuantizeLinear", ["relu", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
            helper.make_node("DequantizeLinear", ["second", "scales", "zeros"], ["w"], axis=0),
        ]
        source, weights = "dq", "w"
    else:
        constants["second"] = rng.standard_normal((16, 16, 3, 3)).astype(kind)
    nodes += [
        helper.make_node("Conv", [source, weights], ["two"], name="conv_two"),
        helper.make_node("GlobalAveragePool", ["two"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["logits"], to=TensorProto.FLOAT),
    ]
    opset = 19 if half and quantised else 17
    made = model(nodes, {"image": (3, 32, 32)}, {"logits": (16,)}, constants, opset=opset)
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("half", "quantised", "precision", "types"),
    [
        (False, False, "fp32", ("fp32", "fp32")),
        (True, False, "fp16", ("fp16", "fp16")),
        (False, True, "int8", ("fp32", "int8")),
        (True, True, "int8", ("fp16", "int8")),
    ],
)
def test_a_network_is_built_as_its_graph_is_typed(
    rtx: Flavour, half: bool, quantised: bool, precision: str, types: tuple[str, str]
) -> None:
    made = build_plan(rtx, Order("m.onnx", convolutions(half, quantised), precision))
    assert len(made.plan) > 1000
    assert tuple(multiplying(made.layers).values()) == types
    assert made.checked_on == "engine"  # the builder told what it made, and it was compared


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_another_precision_than_was_asked_for_is_an_error(rtx: Flavour, precision: str) -> None:
    with pytest.raises(BackendError, match="another precision") as caught:
        build_plan(rtx, Order("models/m.onnx", convolutions(half=True), precision))
    assert "models/m.onnx" in caught.value.what
    assert caught.value.expected == precision


@pytest.mark.parametrize(
    "graph",
    [segmenter(), mean_of_members(3, 2), member(WEIGHTS["member_a"], metadata=4)],
    ids=["segmenter", "mean", "metadata"],
)
def test_every_graph_of_the_tiny_bundle(rtx: Flavour, graph: onnx.ModelProto) -> None:
    made = build_plan(rtx, Order("m.onnx", graph.SerializeToString(), "fp32"))
    assert set(counted(made.layers)) == {"fp32"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, file.precision) for name, one in DEMO.spec.models.items() for file in one.variants],
)
def test_every_file_of_the_demo_bundle(rtx: Flavour, name: str, precision: str) -> None:
    model = DEMO.spec.models[name]
    (variant,) = (file for file in model.variants if file.precision == precision)
    outputs = tuple(output.name for output in model.outputs)
    content = (BUNDLE / variant.file).read_bytes()
    made = build_plan(rtx, Order(variant.file, content, precision, outputs=outputs))
    assert made.plan
    assert precision in counted(made.layers)
    assert made.checked_on == "engine"


def test_only_what_is_asked_for_is_built(rtx: Flavour) -> None:
    graph = member(WEIGHTS["member_a"]).SerializeToString()
    whole = build_plan(rtx, Order("m.onnx", graph, "fp32"))
    names = ("probabilities", "logits")
    part = build_plan(rtx, Order("m.onnx", graph, "fp32", outputs=names))
    assert len(part.plan) < len(whole.plan)
    assert b"heatmap" in whole.plan
    assert b"heatmap" not in part.plan
    with pytest.raises(BackendError, match="lacks an output"):
        build_plan(rtx, Order("m.onnx", graph, "fp32", outputs=("mask",)))


@pytest.mark.parametrize("content", [b"", b"no graph", convolutions()[:-60]])
def test_a_file_that_is_no_graph_fails_with_the_parsers_words(rtx: Flavour, content: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        build_plan(rtx, Order("models/m.onnx", content, "fp32"))
    assert "cannot parse models/m.onnx" in caught.value.what
    assert "TensorRT-RTX" in caught.value.what
    assert caught.value.got


def test_an_unknown_operator_is_named(rtx: Flavour) -> None:
    graph = onnx.load_from_string(convolutions())
    graph.graph.node[2].op_type = "Divination"
    with pytest.raises(BackendError) as caught:
        build_plan(rtx, Order("models/m.onnx", graph.SerializeToString(), "fp32"))
    assert "Divination" in str(caught.value.got)
    assert "/_src/" not in str(caught.value)


def test_progress_is_told_and_a_build_can_be_stopped(rtx: Flavour) -> None:
    told: list[tuple[str, float]] = []
    order = Order("m.onnx", convolutions(), "fp32")
    build_plan(rtx, order, lambda name, share: not told.append((name, share)))
    assert told
    assert all(0 <= share <= 1 for _, share in told)
    with pytest.raises(BackendError, match="cannot build"):
        build_plan(rtx, order, lambda name, share: False)
