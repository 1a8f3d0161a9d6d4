"""Which nodes of a graph are computed here just as they say, attribute by attribute.

An attribute that nobody looked at would be ignored in silence, and the network would learn to be
another one than the one that ships.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx

from train.finetuning.operators import OPERATORS

Rule = Callable[[Any], bool]
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def _any(_: Any) -> bool:
    return True


def _off(value: Any) -> bool:
    return not value


def _ones(values: Sequence[int]) -> bool:
    return set(values) <= {1}


def _even(pads: Sequence[int]) -> bool:
    half = len(pads) // 2
    return list(pads[:half]) == list(pads[half:])


def _one_of(*values: Any) -> Rule:
    return lambda value: value in values


WINDOW: dict[str, Rule] = {"kernel_shape": _any, "strides": _any, "auto_pad": _one_of(b"NOTSET")}
FOLLOWED: dict[str, dict[str, Rule]] = {
    "AveragePool": {
        **WINDOW, "pads": _even, "count_include_pad": _any, "ceil_mode": _off, "dilations": _ones,
    },
    "BatchNormalization": {"epsilon": _any, "momentum": _any, "training_mode": _off},
    "Cast": {"to": _one_of(*FLOATS), "saturate": _any},
    "Concat": {"axis": _any},
    "Conv": {**WINDOW, "pads": _any, "dilations": _any, "group": _any},
    "ConvTranspose": {
        **WINDOW, "pads": _even, "dilations": _any, "group": _any, "output_padding": _any,
    },
    "DequantizeLinear": {"axis": _any},
    "Flatten": {"axis": _one_of(1)},
    "Gemm": {"alpha": _any, "beta": _any, "transA": _any, "transB": _any},
    "HardSigmoid": {"alpha": _any, "beta": _any},
    "MaxPool": {
        **WINDOW, "pads": _any, "ceil_mode": _off, "dilations": _ones, "storage_order": _any,
    },
    "QuantizeLinear": {"axis": _any, "saturate": _any},
    "ReduceMean": {"keepdims": _any, "noop_with_empty_axes": _off},
    "ReduceSum": {"keepdims": _any, "noop_with_empty_axes": _off},
    "Resize": {
        "mode": _any, "coordinate_transformation_mode": _any, "nearest_mode": _any,  # see RESIZES
        "antialias": _off, "exclude_outside": _off, "cubic_coeff_a": _any,
        "extrapolation_value": _any, "keep_aspect_ratio_policy": _one_of(b"stretch"),
    },
    "Reshape": {"allowzero": _any},
    "Shape": {"start": _any, "end": _any},
    "Softmax": {"axis": _any},
}  # fmt: skip
"""By operator the attributes that are followed, and for which values."""

RESIZES = (
    ("nearest", "asymmetric", "floor"),
    ("linear", "half_pixel", ""),
    ("linear", "pytorch_half_pixel", ""),
    ("linear", "align_corners", ""),
)


def not_followed(node: onnx.NodeProto) -> str | None:
    """What of a node would be computed otherwise than it says, in words; None where nothing is."""
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
        return node.op_type
    rules = FOLLOWED.get(node.op_type, {})
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    for name, value in given.items():
        if name not in rules or not rules[name](value):
            return f"{node.op_type} with {name}={value}"
    if node.op_type == "Resize" and _resize(given) not in RESIZES:
        return "Resize " + ", ".join(filter(None, _resize(given)))
    return None


def _resize(given: dict[str, Any]) -> tuple[str, str, str]:
    mode = given.get("mode", b"nearest").decode()
    where = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    nearest = given.get("nearest_mode", b"round_prefer_floor").decode()
    return mode, where, nearest if mode == "nearest" else ""
