"""Each operator against ONNX Runtime, over random shapes, attributes and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from runtime.errors import BundleError
from train.finetuning.graph_network import GraphNetwork
from train.finetuning.operators import OPERATORS
from train.finetuning.understood import FOLLOWED

SIDES = st.integers(1, 9)
SEEDS = st.integers(0, 2**16)
Array = np.ndarray[Any, Any]


def graph_of(
    nodes: list[onnx.NodeProto], feeds: dict[str, Array], constants: dict[str, Array], out: str
) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values.shape)
        for name, values in feeds.items()
    ]
    outputs = [helper.make_tensor_value_info(out, onnx.TensorProto.FLOAT, None)]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, held)
    opset = helper.make_opsetid("", 19)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def both(model: onnx.ModelProto, feeds: dict[str, Array]) -> tuple[Array, Array]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, feeds)[0]
    with torch.no_grad():
        said = GraphNetwork(model)({name: torch.tensor(value) for name, value in feeds.items()})
    return next(iter(said.values())).numpy(), expected


def check(
    kind: str, feeds: dict[str, Array], constants: dict[str, Array] | None = None, **given: Any
) -> None:
    constants = constants or {}
    node = helper.make_node(kind, [*feeds, *constants], ["out"], **given)
    model = graph_of([node], feeds, constants, "out")
    try:
        got, expected = both(model, feeds)
    except Exception as error:
        assume(not type(error).__module__.startswith("onnxruntime"))  # it refuses the graph itself
        raise
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def values(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


@given(SEEDS, SIDES, SIDES, st.data())
def test_convolutions(seed: int, height: int, width: int, data: st.DataObject) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))
    strides = data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2))
    groups = data.draw(st.sampled_from([1, 2, 4]))
    reach = [side + a + b for side, a, b in zip((height, width), pads[:2], pads[2:], strict=True)]
    assume(reach[0] >= kernel[0] and reach[1] >= kernel[1])
    constants = {"w": values(seed, 8, 4 // groups, *kernel), "b": values(seed + 1, 8)}
    feeds = {"x": values(seed + 2, 2, 4, height, width)}
    check("Conv", feeds, constants, pads=pads, strides=strides, group=groups, kernel_shape=kernel)


@given(SEEDS, SIDES, st.integers(1, 3), st.booleans())
def test_transposed_convolutions(seed: int, side: int, stride: int, biased: bool) -> None:
    constants = {"w": values(seed, 4, 3, stride, stride)}
    constants |= {"b": values(seed, 3)} if biased else {}
    feeds = {"x": values(seed, 2, 4, side, side)}
    check("ConvTranspose", feeds, constants, strides=[stride] * 2, kernel_shape=[stride] * 2)


@given(SEEDS, st.integers(3, 9), st.integers(3, 9), st.booleans(), st.integers(0, 1))
def test_pools(seed: int, height: int, width: int, counted: bool, pad: int) -> None:
    feeds = {"x": values(seed, 1, 2, height, width)}
    shape = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [pad] * 4}
    check("MaxPool", feeds, **shape)
    check("AveragePool", feeds, **shape, count_include_pad=int(counted))
    check("GlobalAveragePool", feeds)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("biased", [False, True])
def test_gemm(turned: int, biased: bool) -> None:
    weight = values(1, 5, 4) if turned else values(1, 4, 5)
    constants = {"w": weight} | ({"b": values(2, 5)} if biased else {})
    check("Gemm", {"x": values(0, 3, 4)}, constants, transB=turned, alpha=0.5, beta=2.0)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("Relu", {}), ("Sigmoid", {}), ("HardSwish", {}), ("HardSigmoid", {"alpha": 0.3}),
        ("Softmax", {"axis": 1}), ("Flatten", {}), ("Identity", {}),
    ],
)  # fmt: skip
def test_functions_of_one_tensor(kind: str, given: dict[str, Any]) -> None:
    check(kind, {"x": values(3, 2, 4, 3, 3)}, **given)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "MatMul"])
def test_functions_of_two_tensors(kind: str) -> None:
    check(kind, {"x": values(3, 2, 3, 3), "y": 3 + values(4, 2, 3, 3)})


def test_clip_mean_concat_unsqueeze_and_normalisation() -> None:
    feeds = {"x": values(5, 2, 4, 5, 6)}
    check("Clip", feeds, {"low": np.float32(-1)[()] * np.ones((), "f4"), "high": np.ones((), "f4")})
    check("ReduceMean", feeds, {"axes": np.array([2, 3])}, keepdims=0)
    check("ReduceMean", feeds, {"axes": np.array([1])})
    check("ReduceSum", feeds, {"axes": np.array([1, 3])})
    check("ReduceSum", feeds, {"axes": np.array([2])}, keepdims=0)
    far = {"x": np.abs(values(6, 2, 4, 5))}
    check("Pow", far, {"two": np.full((), 2, "f4")})
    check("Sqrt", far)
    for axes in ([1, 3], [-1], [-1, -3], [0, -1]):
        check("Unsqueeze", feeds, {"axes": np.array(axes)})
    check("Concat", feeds | {"y": values(6, 2, 1, 5, 6)}, axis=1)
    for axes in ({"axes": np.array([1])}, {}):
        check("Squeeze", {"x": values(6, 3, 1, 4)}, axes)
    four = {name: np.abs(values(7, 4)) + 0.1 for name in ("scale", "shift", "mean", "variance")}
    check("BatchNormalization", feeds, four, epsilon=1e-3)


ENDS = st.integers(-12, 12) | st.just(-(2**63))  # as far as it goes backwards
STEPS = st.integers(-3, 3).filter(bool)


@given(SEEDS, st.lists(st.tuples(ENDS, ENDS, STEPS), min_size=1, max_size=2))
def test_slices_forwards_and_backwards(seed: int, cuts: list[tuple[int, int, int]]) -> None:
    starts, ends, steps = (np.array(each) for each in zip(*cuts, strict=True))
    constants = {"starts": starts, "ends": ends, "axes": np.arange(len(cuts)) + 1, "steps": steps}
    check("Slice", {"x": values(seed, 2, 7, 9)}, constants)
    forwards = np.maximum(steps, 1)
    where = {"starts": starts, "ends": ends, "axes": -np.arange(len(cuts)) - 1}
    check("Slice", {"x": values(seed, 2, 7, 9)}, where | {"steps": forwards})
    check("Slice", {"x": values(seed, 7, 9, 2)}, {"starts": starts, "ends": ends})


@pytest.mark.parametrize("shape", [[2, -1, 3], [0, 12], [-1]])
def test_reshaping(shape: list[int]) -> None:
    check("Reshape", {"x": values(9, 2, 4, 3)}, {"shape": np.array(shape)})


def test_a_size_of_nought_is_one_where_a_graph_says_so() -> None:
    check("Reshape", {"x": values(9, 0, 3)}, {"shape": np.array([0, 5])}, allowzero=1)
    check("Reshape", {"x": values(9, 0, 3)}, {"shape": np.array([0, 3])})


@given(SEEDS, SIDES, SIDES, st.integers(1, 3))
def test_resizing_to_a_shape_that_is_computed(
    seed: int, height: int, width: int, factor: int
) -> None:
    """As decoders do it: the size of a skip connection."""
    feeds = {"x": values(seed, 2, 3, height, width)}
    feeds["skip"] = values(seed, 1, 1, factor * height, factor * width)
    ways: tuple[dict[str, Any], ...] = (
        {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    )
    for given_ in ways:
        nodes = [
            helper.make_node("Shape", ["x"], ["front"], start=0, end=2),
            helper.make_node("Shape", ["skip"], ["back"], start=2),
            helper.make_node("Concat", ["front", "back"], ["size"], axis=0),
            helper.make_node("Resize", ["x", "", "", "size"], ["out"], **given_),
        ]
        got, expected = both(graph_of(nodes, feeds, {}, "out"), feeds)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@given(SEEDS, st.integers(2, 9), st.integers(2, 9))
def test_shapes_are_halved_as_whole_numbers(seed: int, height: int, width: int) -> None:
    feeds = {"x": values(seed, 2, 3, height, width)}
    constants = {"two": np.array([2, 2])}
    nodes = [
        helper.make_node("Shape", ["x"], ["front"], end=2),
        helper.make_node("Shape", ["x"], ["back"], start=2),
        helper.make_node("Div", ["back", "two"], ["half"]),
        helper.make_node("Concat", ["front", "half"], ["size"], axis=0),
        helper.make_node("Resize", ["x", "", "", "size"], ["out"], mode="linear"),
    ]
    got, expected = both(graph_of(nodes, feeds, constants, "out"), feeds)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@given(SEEDS, st.floats(1e-3, 1.0))
def test_rounding_to_levels(seed: int, scale: float) -> None:
    feeds = {"x": values(seed, 3, 40)}
    pair = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "scale", "zero"], ["out"]),
    ]
    constants = {"scale": np.float32(scale)[()] * np.ones((), "f4"), "zero": np.zeros((), "i1")}
    got, expected = both(graph_of(pair, feeds, constants, "out"), feeds)
    # Torch multiplies by one over the scale: a value between two levels may go to either.
    assert np.abs(got - expected).max() <= scale * 1.001
    assert np.mean(got != expected) < 0.05


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("Sin", {}, "Sin"),
        ("Conv", {"auto_pad": "SAME_UPPER"}, "Conv with auto_pad"),
        ("ConvTranspose", {"output_shape": [7, 7]}, "ConvTranspose with output_shape"),
        ("ConvTranspose", {"pads": [0, 0, 1, 1]}, "ConvTranspose with pads"),
        ("MaxPool", {"kernel_shape": [3, 3], "dilations": [2, 2]}, "MaxPool with dilations"),
        ("MaxPool", {"kernel_shape": [3, 3], "ceil_mode": 1}, "MaxPool with ceil_mode"),
        ("AveragePool", {"kernel_shape": [3, 3], "ceil_mode": 1}, "AveragePool with ceil_mode"),
        ("Flatten", {"axis": 2}, "Flatten with axis=2"),
        ("Cast", {"to": onnx.TensorProto.INT64}, "Cast with to"),
        ("ReduceMean", {"axes": [2, 3]}, "ReduceMean with axes"),
        ("ReduceSum", {"axes": [2, 3]}, "ReduceSum with axes"),
        ("Resize", {"mode": "cubic"}, "Resize cubic"),
        ("Resize", {"mode": "nearest"}, "Resize nearest, half_pixel, round_prefer_floor"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused_by_name(
    kind: str, given: dict[str, Any], words: str
) -> None:
    nodes = [helper.make_node(kind, ["x"], ["out"], **given)]
    with pytest.raises(BundleError) as caught:
        GraphNetwork(graph_of(nodes, {"x": values(0, 1, 2, 5, 5)}, {}, "out"))
    assert words in str(caught.value)
    assert "--models" in str(caught.value)


def test_what_is_followed_is_an_operator() -> None:
    assert FOLLOWED.keys() <= OPERATORS.keys()
