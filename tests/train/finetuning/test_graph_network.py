"""Graphs that ship, in torch and in an engine; and from torch back to a file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from calibration.quantising.model import only_asked
from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import at_opset, insert
from calibration.quantising.ranges import METHODS, measure
from runtime import demo
from runtime.backends.base import Floats, Graph
from runtime.backends.openvino_bytes import has_sound_kernels
from runtime.backends.registry import load_graph
from runtime.bundle import ModelSpec
from runtime.bundle_files import load_bundle
from runtime.decode import read_image
from runtime.host_chain import models_in_use
from runtime.preprocess import to_tensor
from tests import float_demo
from tests.bundle_factory import model
from train.finetuning.graph_network import GraphNetwork

DEMO = load_bundle(demo.BUNDLE).spec
MODELS = DEMO.models
NETWORKS = [name for name in models_in_use(DEMO) if name != "ensemble"]
LEVELS = 127


def feeds_of(spec: ModelSpec, count: int = 2) -> dict[str, np.ndarray]:
    image = spec.image_input()
    assert image is not None
    files = sorted(demo.FRAMES.glob("*.*"))[:count]
    frames = [to_tensor(read_image(file).frame, image.preprocess) for file in files]
    return {image.name: np.concatenate(frames)}


def float_graph(name: str) -> onnx.ModelProto:
    return only_asked(float_demo.float_graph(name), MODELS[name])


def quantised(name: str) -> onnx.ModelProto:
    graph = at_opset(float_graph(name))
    sites = find_sites(graph)
    inputs = [site.input for site in sites] + [s.shortcut[1] for s in sites if s.shortcut]
    seen = measure(graph, list(dict.fromkeys(inputs)), [feeds_of(MODELS[name], 1)])
    limits = {tensor: METHODS["minmax"](magnitudes) for tensor, magnitudes in seen.items()}
    return insert(graph, sites, limits)


def in_engine(name: str, graph: onnx.ModelProto, precision: str) -> list[Mapping[str, Floats]]:
    content = graph.SerializeToString()
    loaded = Graph(name, f"{name}.onnx", precision, content, MODELS[name], 3)
    with load_graph("openvino", loaded) as engine:
        feeds = feeds_of(MODELS[name])
        return [
            engine.run({key: values[row : row + 1] for key, values in feeds.items()})
            for row in range(2)
        ]


def in_torch(network: GraphNetwork, name: str) -> dict[str, np.ndarray]:
    feeds = {key: torch.tensor(values) for key, values in feeds_of(MODELS[name]).items()}
    with torch.no_grad():
        return {key: said.numpy() for key, said in network(feeds).items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_says_what_the_engine_says(name: str) -> None:
    """Two images at once in torch, one by one in the engine."""
    graph = float_graph(name)
    said = in_torch(GraphNetwork(graph), name)
    for row, expected in enumerate(in_engine(name, graph, "fp16")):
        for output, values in expected.items():
            np.testing.assert_allclose(said[output][row], values[0], rtol=2e-3, atol=2e-3)


def begins(graph: onnx.ModelProto, roundings: int) -> onnx.ModelProto:
    """As far as the layer behind so many roundings of what goes through it."""
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    kinds = [node.op_type for node in graph.graph.node]
    rounds = [place for place, kind in enumerate(kinds) if kind == "QuantizeLinear"]
    end = kinds.index("Conv", rounds[roundings - 1])
    del made.graph.node[end + 1 :], made.graph.output[:]
    last = made.graph.node[end].output[0]
    made.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    return made


def check_in_8_bits(name: str, graph: onnx.ModelProto, rough: onnx.ModelProto) -> None:
    """A value between two levels may go either way, and all after it follows: means agree."""
    said, whole = in_torch(GraphNetwork(graph), name), in_torch(GraphNetwork(rough), name)
    for output, values in in_engine(name, graph, "int8")[0].items():
        off = np.abs(said[output][0] - values[0]).mean()
        assert off < 0.2 * np.abs(whole[output][0] - values[0]).mean() + 1e-6


@pytest.mark.parametrize("roundings", [1, 2, 4])
@pytest.mark.parametrize("name", ["segmenter", "lesion"])
def test_in_8_bits_it_rounds_as_the_engine_does(name: str, roundings: int) -> None:
    """On any processor: before roundings of roundings hide it. Without 8-bit kernels the engine's
    weights are rounded to 16 bits on the way, and after eight roundings it is off by 0.37."""
    graph = begins(quantised(name), roundings)
    (last,) = graph.graph.output
    rough = float_graph(name)
    places = [place for place, node in enumerate(rough.graph.node) if last.name in node.output]
    del rough.graph.node[places[0] + 1 :], rough.graph.output[:]
    rough.graph.output.append(last)
    check_in_8_bits(name, graph, rough)


@pytest.mark.parametrize("name", ["segmenter", "lesion"])
def test_in_8_bits_too(name: str) -> None:
    if not has_sound_kernels():
        pytest.skip("OpenVINO does not compute in 8 bits on this processor")
    check_in_8_bits(name, quantised(name), float_graph(name))


def test_unchanged_weights_make_the_same_file() -> None:
    graph = quantised("lesion")
    assert GraphNetwork(graph).to_onnx() == graph


def test_float_weights_round_to_the_levels_that_are_there() -> None:
    """What quantize rounded is the start; the first file is the one that it wrote."""
    graph = quantised("lesion")
    network = GraphNetwork(graph)
    rounded = {name: weight.detach().clone() for name, weight in network.learned.items()}
    network.start_from(float_graph("lesion"))
    assert all(not torch.equal(network.learned[name], rounded[name]) for name in network.scales)
    assert network.to_onnx() == graph


def test_products_are_learned_as_convolutions_are() -> None:
    """A MatMul's weight in 8 bits, and one that stayed."""
    rng = np.random.default_rng(0)
    shapes = {"net.a.weight": (32, 16), "net.b.weight": (16, 3)}
    weights = {name: rng.normal(0, 1, shape).astype("f4") for name, shape in shapes.items()}
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "net.a.weight"], ["hidden"]),
        onnx.helper.make_node("MatMul", ["hidden", "net.b.weight"], ["logits"]),
    ]
    graph = at_opset(model(nodes, {"x": (32,)}, {"logits": (3,)}, weights))
    eight = insert(graph, find_sites(graph), {"x": 3.0})
    network = GraphNetwork(eight)
    assert set(network.learned) == {"net.a.weight.int8", "net.b.weight"}
    network.start_from(graph)
    assert network.to_onnx() == eight


def test_changed_weights_are_written_in_their_own_types_and_within_the_levels() -> None:
    graph = quantised("lesion")
    network = GraphNetwork(graph)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * weight.std() * torch.randn(weight.shape, generator=rng)
    changed = network.to_onnx()
    onnx.checker.check_model(changed, full_check=True)
    before = {item.name: item for item in graph.graph.initializer}
    different = []
    for item in changed.graph.initializer:
        assert item.data_type == before[item.name].data_type
        values = numpy_helper.to_array(item)
        if item.data_type == onnx.TensorProto.INT8 and item.name.endswith(".int8"):
            assert np.abs(values.astype(int)).max() <= LEVELS
        if not np.array_equal(values, numpy_helper.to_array(before[item.name])):
            different.append(item.name)
    assert set(different) == set(network.learned)
    was, again = (in_torch(GraphNetwork(one), "lesion") for one in (graph, changed))
    for output, values in in_torch(network, "lesion").items():
        moved = np.abs(values - was[output]).mean()
        rounded = np.abs(again[output] - values).mean()
        assert rounded < 0.05 * moved, "to 16 bits and to levels: little beside what was changed"
