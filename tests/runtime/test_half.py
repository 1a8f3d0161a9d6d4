"""16 bits computed in 16 bits: ONNX's own evaluator rounds every step, as no CPU engine does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.errors import DermedgeError
from runtime.half import measure_peaks, to_half
from tests.bundle_factory import WEIGHTS, model, segmenter

RNG = np.random.default_rng(4)
PROBE = {"image": RNG.random((1, 3, 32, 32), dtype=np.float32)}


def run(graph: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return list(ReferenceEvaluator(graph).run(None, feeds))


def types_of(graph: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    known = (*inferred.value_info, *inferred.input, *inferred.output)
    return {item.name: item.type.tensor_type.elem_type for item in known}


def scaled(factor: float) -> onnx.ModelProto:
    """The input times a factor and back again: harmless, unless the middle overflows."""
    nodes = [
        helper.make_node("Mul", ["image", "up"], ["large"]),
        helper.make_node("Mul", ["large", "down"], ["back"]),
        helper.make_node("Add", ["back", "one"], ["more"]),
    ]
    constants = {"up": np.float32(factor), "down": np.float32(1 / factor), "one": np.float32(1)}
    return model(nodes, {"image": (3, 32, 32)}, {"more": (3, 32, 32)}, constants)


def classifier() -> onnx.ModelProto:
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colour"]),
        helper.make_node("Gemm", ["colour", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = {"probabilities": (2,), "logits": (2,)}
    weights = {"weights": np.asarray(WEIGHTS["member_a"], dtype=np.float32)}
    return model(nodes, {"image": (3, 32, 32)}, outputs, weights)


@pytest.mark.parametrize("graph", [segmenter(), classifier()], ids=["mask", "class"])
def test_it_says_nearly_the_same_between_float32_ends(graph: onnx.ModelProto) -> None:
    half = to_half(graph, [PROBE])
    for before, after in zip(run(graph, PROBE), run(half, PROBE), strict=True):
        assert after.dtype == np.float32
        np.testing.assert_allclose(after, before, atol=2e-2)
        assert not np.array_equal(after, before), "nothing was rounded, so nothing was converted"


def test_types_that_a_graph_notes_of_its_tensors_are_not_kept() -> None:
    noted = onnx.shape_inference.infer_shapes(classifier())
    assert noted.graph.value_info
    half = to_half(noted, [PROBE])
    np.testing.assert_allclose(run(half, PROBE)[0], run(noted, PROBE)[0], atol=1e-2)


def test_what_ends_a_graph_stays_in_32_bits() -> None:
    half = to_half(classifier(), [PROBE])
    types = types_of(half)
    (softmax,) = (node for node in half.graph.node if node.op_type == "Softmax")
    (linear,) = (node for node in half.graph.node if node.op_type == "Gemm")
    assert types[softmax.input[0]] == TensorProto.FLOAT
    assert types[linear.output[0]] == TensorProto.FLOAT16
    weights = [item for item in half.graph.initializer if item.name in linear.input]
    assert weights
    assert {item.data_type for item in weights} == {TensorProto.FLOAT16}
    assert {item.data_type for item in half.graph.initializer} == {TensorProto.FLOAT16}


def test_a_layer_that_would_overflow_stays_in_32_bits() -> None:
    graph = scaled(60000.0)
    feeds = {"image": PROBE["image"] * 8}  # 480,000 in the middle; float16 ends at 65,504
    half = to_half(graph, [feeds])
    (got,) = run(half, feeds)
    np.testing.assert_allclose(got, feeds["image"] + 1, rtol=1e-2)
    types = types_of(half)
    assert types["large"] == TensorProto.FLOAT
    (add,) = (node for node in half.graph.node if node.op_type == "Add")
    assert types[add.output[0]] == TensorProto.FLOAT16, "only the large numbers are spared"


def test_without_that_care_it_does_overflow() -> None:
    """The control of the test above: probes that never see large numbers spare nothing."""
    half = to_half(scaled(60000.0), [{"image": PROBE["image"] * 0.01}])
    with np.errstate(over="ignore"):
        (got,) = run(half, {"image": PROBE["image"] * 8})
    assert not np.isfinite(got).all()


def test_a_weight_beyond_float16_keeps_its_layer_in_32_bits() -> None:
    small = {"image": PROBE["image"] * 1e-3}  # so that only the weight is too large
    (got,) = run(to_half(scaled(1e6), [small]), small)
    np.testing.assert_allclose(got, small["image"] + 1, rtol=1e-2)


def test_batch_normalisation_keeps_its_variances() -> None:
    """1e6 and 1e-9 are variances that networks have and float16 has not."""
    variance = np.array([1e6, 1e-9, 1.0], dtype=np.float32)
    constants = {
        "scale": np.array([1000.0, 1e-3, 2.0], dtype=np.float32),
        "shift": np.array([0.5, -0.5, 0.0], dtype=np.float32),
        "mean": np.array([100.0, 0.0, 0.3], dtype=np.float32),
        "variance": variance,
    }
    node = helper.make_node("BatchNormalization", ["image", *constants], ["out"], epsilon=1e-5)
    graph = model([node], {"image": (3, 32, 32)}, {"out": (3, 32, 32)}, constants)
    half = to_half(graph, [PROBE])
    assert {n.op_type for n in half.graph.node} == {"Cast", "Mul", "Add"}
    np.testing.assert_allclose(run(half, PROBE)[0], run(graph, PROBE)[0], atol=5e-2)


def test_scales_of_a_resize_stay_as_they_are_defined() -> None:
    node = helper.make_node("Resize", ["image", "", "scales"], ["out"], mode="nearest")
    scales = {"scales": np.array([1, 1, 2, 2], dtype=np.float32)}
    graph = model([node], {"image": (3, 32, 32)}, {"out": (3, 64, 64)}, scales)
    half = to_half(graph, [PROBE])
    (kept,) = half.graph.initializer
    assert kept.data_type == TensorProto.FLOAT
    np.testing.assert_allclose(run(half, PROBE)[0], run(graph, PROBE)[0], atol=1e-3)


def test_a_constant_shared_by_both_precisions_exists_in_both() -> None:
    nodes = [
        helper.make_node("Mul", ["image", "two"], ["twice"]),
        helper.make_node("Mul", ["image", "huge"], ["large"]),
        helper.make_node("Mul", ["large", "two"], ["larger"]),
        helper.make_node("Add", ["larger", "twice"], ["out"]),
    ]
    constants = {"two": np.float32(2), "huge": np.float32(1e5)}
    graph = model(nodes, {"image": (3, 32, 32)}, {"out": (3, 32, 32)}, constants)
    half = to_half(graph, [PROBE])
    np.testing.assert_allclose(run(half, PROBE)[0], run(graph, PROBE)[0], rtol=1e-3)
    kinds = {item.name: item.data_type for item in half.graph.initializer}
    assert kinds == {
        "two": TensorProto.FLOAT, "two.half": TensorProto.FLOAT16, "huge": TensorProto.FLOAT
    }  # fmt: skip


def test_peaks_are_those_of_every_tensor() -> None:
    peaks = measure_peaks(scaled(100.0), [PROBE, {"image": PROBE["image"] * -3}])
    assert peaks["large"] == pytest.approx(300 * PROBE["image"].max(), rel=1e-5)
    assert peaks.keys() == {"large", "back", "more"}


@pytest.mark.parametrize("kind", ["Constant", "Cast"])
def test_operators_that_fix_a_type_keep_it(kind: str) -> None:
    constant = numpy_helper.from_array(np.float32(2))
    node = {
        "Constant": helper.make_node("Constant", [], ["made"], value=constant),
        "Cast": helper.make_node("Cast", ["twice"], ["made"], to=TensorProto.FLOAT),
    }[kind]
    first = helper.make_node("Add", ["image", "image"], ["twice"])
    last = helper.make_node("Mul", ["twice", "made"], ["out"])
    graph = model([first, node, last], {"image": (3, 32, 32)}, {"out": (3, 32, 32)}, {})
    half = to_half(graph, [PROBE])
    assert types_of(half)["made"] == TensorProto.FLOAT
    np.testing.assert_allclose(run(half, PROBE)[0], run(graph, PROBE)[0], rtol=1e-2, atol=1e-4)


def test_graphs_within_graphs_are_refused() -> None:
    inner = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    always = {"always": np.bool_(True)}
    node = helper.make_node("If", ["always"], ["out"], then_branch=inner, else_branch=inner)
    graph = model([node], {"image": (3, 32, 32)}, {"out": (3, 32, 32)}, always)
    with pytest.raises(DermedgeError, match="cannot be converted to 16 bits") as caught:
        to_half(graph, [PROBE])
    assert "the operator If" in str(caught.value)
