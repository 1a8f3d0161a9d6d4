"""What each ONNX operator of our graphs computes, in torch; batch and types follow the tensors.

Types of 16 bits are computed in 32: what training sees is the graph's arithmetic, not the rounding
of one engine. Shapes are integer tensors, as in the graph. What an operator here does not follow is
refused before anything is trained (`understood.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence["Tensor | None"], Attributes], Tensor]
LEAST, MOST = -128, 127  # of QuantizeLinear


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """ONNX names all starts before all ends; torch goes axis by axis, the last one first."""
    half = len(pads) // 2
    turned = [pads[axis + end * half] for axis in reversed(range(half)) for end in (0, 1)]
    return functional.pad(x, turned, value=value) if any(turned) else x


def _conv(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, weight, bias = _three(inputs)
    return torch.conv2d(
        _padded(x, given.get("pads", ())),
        weight,
        bias,
        given.get("strides", 1),
        0,
        given.get("dilations", 1),
        given.get("group", 1),
    )


def _conv_transpose(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, weight, bias = _three(inputs)
    pads = given.get("pads", (0, 0, 0, 0))
    return torch.conv_transpose2d(
        x,
        weight,
        bias,
        given.get("strides", 1),
        pads[: len(pads) // 2],
        given.get("output_padding", 0),
        given.get("group", 1),
        given.get("dilations", 1),
    )


def _gemm(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, weight, bias = _three(inputs)
    x = x.T if given.get("transA") else x
    product = given.get("alpha", 1.0) * x @ (weight.T if given.get("transB") else weight)
    return product if bias is None else product + given.get("beta", 1.0) * bias


def _clip(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, low, high = _three(inputs)
    if low is None or high is None:
        return torch.clamp(x, low, high)
    return functional.hardtanh(x, float(low), float(high))  # the same, with a faster gradient


def _max_pool(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x = _padded(_first(inputs), given.get("pads", ()), float("-inf"))
    kernel, strides = given["kernel_shape"], given.get("strides", 1)
    return torch.max_pool2d(x, kernel, strides)


def _average_pool(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    pads = given.get("pads", (0, 0, 0, 0))[:2]
    kernel, strides = given["kernel_shape"], given.get("strides", 1)
    counted = bool(given.get("count_include_pad"))
    return functional.avg_pool2d(_first(inputs), kernel, strides, pads, count_include_pad=counted)


def _divide(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    """Of shapes, which are whole numbers, what is left over is dropped."""
    x, y = _two(inputs)
    return torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def _hard_sigmoid(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    slope, middle = given.get("alpha", 0.2), given.get("beta", 0.5)
    return torch.clamp(slope * _first(inputs) + middle, 0.0, 1.0)


def _reduce_mean(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    return _first(inputs).mean(_axes(inputs), keepdim=bool(given.get("keepdims", 1)))


def _reduce_sum(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    return _first(inputs).sum(_axes(inputs), keepdim=bool(given.get("keepdims", 1)))


def _axes(inputs: Sequence[Tensor | None]) -> tuple[int, ...]:
    x, axes = _first(inputs), inputs[1] if len(inputs) > 1 else None
    return tuple(range(x.ndim)) if axes is None else tuple(axes.tolist())


def _batch_norm(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, scale, shift, mean, variance = (_given(item) for item in inputs)
    return torch.batch_norm(
        x, scale, shift, mean, variance, False, 0.0, given.get("epsilon", 1e-5), False
    )


def _resize(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x = _first(inputs)
    mode = given.get("mode", b"nearest").decode()
    where = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    if len(inputs) > 3:
        size = [int(n) for n in _given(inputs[3]).tolist()[2:]]
    else:
        factors = _given(inputs[2]).tolist()[2:]
        size = [int(n * f) for n, f in zip(x.shape[2:], factors, strict=True)]
    if mode == "nearest":
        return functional.interpolate(x, size=size, mode="nearest")
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=where[0] == "a")


def _reshape(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, shape = _first(inputs), _given(inputs[1]).tolist()
    if not given.get("allowzero"):
        shape = [size or x.shape[axis] for axis, size in enumerate(shape)]
    return x.reshape(shape)


def _slice(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    """Steps may go backwards, which torch's own slices cannot: that is how graphs mirror."""
    x, starts, ends, axes, steps = [*inputs, None, None][:5]
    x, first, last = _given(x), _given(starts).tolist(), _given(ends).tolist()
    along = range(len(first)) if axes is None else axes.tolist()
    by = [1] * len(first) if steps is None else steps.tolist()
    for axis, start, end, step in zip(along, first, last, by, strict=True):
        size = x.shape[axis]
        places = range(size)[max(start, -size) : end : step]  # a start too far back is the first
        x = x.index_select(axis, torch.tensor(places, device=x.device, dtype=torch.int64))
    return x


def _squeeze(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, axes, _ = _three(inputs)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


def _unsqueeze(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    x, axes = _first(inputs), _given(inputs[1]).tolist()
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _shape(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    shape = _first(inputs).shape[given.get("start", 0) : given.get("end")]
    return torch.tensor(shape, dtype=torch.int64)


def _quantise(inputs: Sequence[Tensor | None], given: Attributes) -> Tensor:
    """To the nearest level and back; what DequantizeLinear then has left to do is nothing."""
    x, scale, zero = _three(inputs)
    return torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), LEAST, MOST)


def _first(inputs: Sequence[Tensor | None]) -> Tensor:
    return _given(inputs[0])


def _given(item: Tensor | None) -> Tensor:
    if item is None:
        raise ValueError("an input that this operator cannot do without was left out")
    return item


def _three(inputs: Sequence[Tensor | None]) -> tuple[Tensor, Any, Any]:
    x, *rest = [*inputs, None, None][:3]
    return _given(x), rest[0], rest[1]


def _two(inputs: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    return _given(inputs[0]), _given(inputs[1])


OPERATORS: dict[str, Operator] = {
    "Add": lambda i, _: torch.add(*_two(i)),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": lambda i, _: _first(i),
    "Clip": _clip,
    "Concat": lambda i, a: torch.cat([_given(x) for x in i], a["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": lambda i, _: _first(i),
    "Div": _divide,
    "Flatten": lambda i, _: _first(i).flatten(1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda i, _: _first(i).mean((2, 3), keepdim=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda i, _: functional.hardswish(_first(i)),
    "Identity": lambda i, _: _first(i),
    "MatMul": lambda i, _: torch.matmul(*_two(i)),
    "MaxPool": _max_pool,
    "Mul": lambda i, _: torch.mul(*_two(i)),
    "Pow": lambda i, _: torch.pow(*_two(i)),
    "QuantizeLinear": _quantise,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": lambda i, _: torch.relu(_first(i)),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": lambda i, _: torch.sigmoid(_first(i)),
    "Slice": _slice,
    "Softmax": lambda i, a: torch.softmax(_first(i), a.get("axis", -1)),
    "Sqrt": lambda i, _: torch.sqrt(_first(i)),
    "Squeeze": _squeeze,
    "Sub": lambda i, _: torch.sub(*_two(i)),
    "Unsqueeze": _unsqueeze,
}
