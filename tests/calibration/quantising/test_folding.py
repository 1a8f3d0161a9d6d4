"""Graphs that were brought in: normalisations go into the convolution before, where they can."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from calibration.quantising.model import folded

CHANNELS = 32  # weights above a kilobyte, which ONNX Runtime's tools handle in a way of their own


def dense() -> onnx.ModelProto:
    """As in DenseNet: one normalisation after a convolution, one that has none before it."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.1, (CHANNELS, 3, 3, 3)).astype(np.float32)
    held = {"w": weight, "axes": np.array([2, 3])}
    nodes = [helper.make_node("Conv", ["image", "w"], ["a"], pads=[1] * 4)]
    for name, taken, given in (("n", "a", "b"), ("m", "c", "d")):
        parts = {f"{name}{part}": rng.uniform(0.5, 1.5, CHANNELS) for part in range(4)}
        held |= {part: value.astype(np.float32) for part, value in parts.items()}
        nodes.append(helper.make_node("BatchNormalization", [taken, *parts], [given]))
    nodes.insert(2, helper.make_node("Relu", ["b"], ["c"]))
    nodes.append(helper.make_node("ReduceMean", ["d", "axes"], ["out"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", CHANNELS])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def said(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (out,) = session.run(None, {"image": image})
    return np.asarray(out)


def test_what_can_be_folded_is_and_says_the_same() -> None:
    model = dense()
    done = folded(model)
    assert Counter(node.op_type for node in done.graph.node) == {
        "Conv": 1, "Relu": 1, "BatchNormalization": 1, "ReduceMean": 1,
    }  # fmt: skip
    image = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(said(done, image), said(model, image), rtol=1e-4, atol=1e-5)
