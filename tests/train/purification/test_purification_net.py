"""The network of partial convolutions: by definition, in training, and as it is exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.graphs import PurifierGraph, to_onnx
from runtime.backends.trt_builder import Order, build_plan
from runtime.backends.trt_flavours import flavour
from runtime.half import to_half
from train.models.purification import KERNELS, PartialConv, PurificationNet
from train.recipe_parts.purifiers import SIDE_STEP

SIDE = SIDE_STEP
PLAIN = {"Conv", "Relu", "LeakyRelu", "Concat", "Resize", "Clip"}


def slowly(conv: PartialConv, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Window by window: the sum over what is valid, for as much as all of the window."""
    weight, bias = (p.detach().double().numpy() for p in (conv.conv.weight, conv.conv.bias))
    edge, stride = conv.kernel // 2, conv.stride
    seen = np.concatenate([f * m for f, m in parts]).astype(np.float64)
    masks = np.concatenate([np.repeat(m, len(f), axis=0) for f, m in parts])
    seen = np.pad(seen, ((0, 0), (edge, edge), (edge, edge)))
    masks = np.pad(masks, ((0, 0), (edge, edge), (edge, edge)), constant_values=1)
    rows = range(0, seen.shape[1] - 2 * edge, stride)
    columns = range(0, seen.shape[2] - 2 * edge, stride)
    out = np.zeros((len(weight), len(rows), len(columns)))
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            window = np.s_[:, y : y + conv.kernel, x : x + conv.kernel]
            valid = masks[window].sum()
            if valid:
                sums = (weight * seen[window]).sum(axis=(1, 2, 3))
                out[:, i, j] = sums * masks[window].size / valid + bias
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 5]), st.integers(1, 2),
    st.sampled_from([(2,), (3, 1)]), st.floats(0, 1), st.integers(0, 2**31),
)  # fmt: skip
def test_a_partial_convolution_is_what_the_paper_says(
    height: int, width: int, kernel: int, stride: int, inputs: tuple[int, ...], share: float,
    seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    conv = PartialConv(inputs, 2, kernel, stride)
    torch.nn.init.normal_(conv.conv.bias)
    parts = [
        (
            random.normal(size=(count, height, width)).astype(np.float32),
            (random.random((1, height, width)) < share).astype(np.float32),
        )
        for count in inputs
    ]
    given_parts = [(torch.from_numpy(f)[None], torch.from_numpy(m)[None]) for f, m in parts]
    with torch.no_grad():
        out, valid = conv.of_valid(given_parts)
    np.testing.assert_allclose(out[0].numpy(), slowly(conv, parts), rtol=1e-3, atol=1e-4)
    assert out.shape[2:] == valid.shape[2:]
    assert (out[0][:, valid[0, 0] == 0] == 0).all()


@pytest.fixture
def net() -> PurificationNet:
    """As after some training: its last convolution does not only copy any more."""
    torch.manual_seed(0)
    net = PurificationNet(4)
    torch.nn.init.normal_(net.last.conv.weight, std=0.05)
    return net.eval()


@torch.no_grad()
def test_where_all_is_valid_it_is_a_plain_network(net: PurificationNet) -> None:
    image = torch.rand(2, 3, SIDE, 2 * SIDE)
    whole = net.of_valid(image, torch.ones(2, 1, SIDE, 2 * SIDE))
    torch.testing.assert_close(net(image), whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_is_hidden_is_not_seen(net: PurificationNet) -> None:
    image, other = torch.rand(2, 1, 3, SIDE, SIDE)
    valid = torch.ones(1, 1, SIDE, SIDE)
    valid[..., 10:20, 5:25] = 0
    changed = torch.where(valid > 0, image, other)
    torch.testing.assert_close(net.of_valid(image, valid), net.of_valid(changed, valid))
    assert not torch.allclose(net(image), net(changed))


@torch.no_grad()
def test_untrained_it_gives_the_picture_itself() -> None:
    image = torch.rand(1, 3, SIDE, SIDE)
    torch.testing.assert_close(PurificationNet(4).eval()(image), image)


def test_sides_that_it_takes() -> None:
    assert 2 ** (len(KERNELS) - 1) == SIDE_STEP


def test_it_is_exported_as_plain_convolutions(net: PurificationNet) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = PurifierGraph(net)
    model = to_onnx(graph, (3, SIDE, SIDE))
    assert {node.op_type for node in model.graph.node} <= PLAIN
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = np.random.default_rng(0).random((3, 3, SIDE, SIDE), np.float32)
    (got,) = session.run(["picture"], {"image": image})
    with torch.no_grad():
        expected = graph(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert 0 <= got.min() <= got.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_parses_and_builds_it(net: PurificationNet, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    model = to_onnx(PurifierGraph(net), (3, SIDE, SIDE))
    if precision == "fp16":
        model = to_half(model, [{"image": np.full((1, 3, SIDE, SIDE), 0.5, np.float32)}])
    order = Order("models/m.onnx", model.SerializeToString(), precision)
    assert build_plan(flavour("tensorrt_rtx"), order).plan
