"""Weights and scales in 8 bits, computed by ONNX's own evaluator, which fuses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx.reference import ReferenceEvaluator

from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import SMALLEST, at_opset, insert, quantise_weight
from calibration.quantising.ranges import measure
from runtime import demo
from runtime.backends.base import Graph
from runtime.backends.registry import load_graph
from runtime.bundle_files import load_bundle
from runtime.half import to_half
from tests.bundle_factory import SIZE
from tests.calibration.quantising.conv_bundle import member
from tests.float_demo import float_graph

RNG = np.random.default_rng(3)
FEEDS = {"image": RNG.random((1, 3, SIZE, SIZE), dtype=np.float32)}
LIMIT = 8.0


def run(graph: onnx.ModelProto) -> np.ndarray:
    return np.asarray(ReferenceEvaluator(graph).run(["probabilities"], FEEDS)[0])


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@given(values=arrays(np.float32, (4, 3), elements=st.floats(-50, 50, width=32)))
def test_a_weight_comes_back_within_half_a_step(kind: type, values: np.ndarray) -> None:
    weight = values.astype(kind)
    levels, scales = quantise_weight(weight, 0)
    assert levels.dtype == np.int8
    assert scales.dtype == kind
    assert scales.min() >= SMALLEST
    assert np.abs(levels.astype(int)).max() <= 127
    steps = scales.astype(np.float64)[:, None]
    error = np.abs(levels * steps - weight.astype(np.float64))
    assert (error <= steps * 0.5001).all()


def test_channels_lie_where_the_axis_says() -> None:
    weight = np.array([[1.0, 100.0], [0.5, -50.0]], dtype=np.float32)
    assert quantise_weight(weight, 1)[1] == pytest.approx(np.array([1, 100]) / 127)
    assert quantise_weight(weight, 0)[1] == pytest.approx(np.array([100, 50]) / 127)


@pytest.mark.parametrize("half", [False, True])
def test_the_graph_says_nearly_the_same(half: bool) -> None:
    graph = to_half(member(1), [FEEDS]) if half else member(1)
    before = at_opset(graph)
    sites = find_sites(before)
    limits = {name: LIMIT for site in sites for name in (site.input, *(site.shortcut or ())[1:])}
    after = insert(before, sites, limits)
    got, expected = run(after), run(before)
    np.testing.assert_allclose(got, expected, atol=0.05)
    assert not np.array_equal(got, expected), "nothing was rounded, so nothing was quantised"
    kind = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    scales = {i.data_type for i in after.graph.initializer if i.name.endswith(".scale")}
    assert scales == {kind}, "scales are of the type of what they scale"
    assert "Cast" not in {
        node.op_type for node in after.graph.node if any(".dq" in name for name in node.input)
    }


def test_engines_agree_on_biases_beside_16_bit_scales() -> None:
    """ONNX Runtime left to itself turns the biases into integers, and misreads them."""
    models = load_bundle(demo.BUNDLE).spec.models
    name, spec = next((name, model) for name, model in models.items() if model.output("logits"))
    graph = at_opset(float_graph(name))
    size = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim][1:]
    feeds = {"image": RNG.standard_normal((1, *size), dtype=np.float32)}
    sites = find_sites(graph)
    seen = measure(graph, list({site.input for site in sites}), [feeds])
    limits = {tensor: magnitudes.largest for tensor, magnitudes in seen.items()}
    plain = [replace(site, shortcut=None) for site in sites]
    content = insert(graph, plain, limits).SerializeToString()
    said = []
    for backend in ("openvino", "onnxruntime"):
        with load_graph(backend, Graph(name, "m.onnx", "int8", content, spec, 3)) as engine:
            said.append(engine.run(feeds)["probabilities"])
    np.testing.assert_allclose(said[0], said[1], atol=0.08)


def test_no_site_no_change() -> None:
    before = at_opset(member(1))
    after = insert(before, [], {})
    assert [n.op_type for n in after.graph.node] == [n.op_type for n in before.graph.node]


def test_weights_take_a_quarter_of_the_room() -> None:
    before = at_opset(to_half(member(1), [FEEDS]))
    sites = find_sites(before)
    after = insert(before, sites, {site.input: LIMIT for site in sites})
    sizes = {i.name: len(i.raw_data) for i in after.graph.initializer}
    float32 = {i.name: len(i.raw_data) for i in member(1).graph.initializer}
    for site in sites:
        assert site.weight not in sizes
        assert sizes[f"{site.weight}.int8"] * 4 == float32[site.weight.removesuffix(".half")]
