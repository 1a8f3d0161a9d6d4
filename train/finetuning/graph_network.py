"""An ONNX graph as a torch module, so that what ships can be trained where it stands.

By hand, because what is tuned must be the very graph that quantize wrote: which layers have 8 bits,
and on which scale. PyTorch's own quantisation places them by other rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from calibration.quantising.qdq import INT8_FORM, LEVELS
from runtime.errors import BundleError
from train.finetuning.operators import OPERATORS
from train.finetuning.understood import not_followed

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class GraphNetwork(nn.Module):
    """Takes and gives tensors by the graph's names. Weights in 8 bits are rounded on the way."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        check_trainable(model)
        self.model = model
        constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        self.scales = _scales_of_weights(model.graph, constants)
        self.learned: dict[str, nn.Parameter] = {}
        self.fixed: dict[str, str] = {}  # the buffer of each constant
        self.on_host: dict[str, Tensor] = {}  # shapes, axes, single numbers
        names = _weights_and_biases(model.graph)
        for name, value in constants.items():
            if name in self.scales:
                scale, axis = self.scales[name]
                value = value * _columns(constants[scale], value.ndim, axis)
            if name in names:
                self.learned[name] = nn.Parameter(torch.tensor(value.astype(np.float32)))
                self.register_parameter(f"learned{len(self.learned)}", self.learned[name])
            elif value.dtype.kind == "f" and value.ndim:
                self.fixed[name] = f"fixed{len(self.fixed)}"
                self.register_buffer(self.fixed[name], torch.tensor(value.astype(np.float32)))
            else:
                kind = np.float32 if value.dtype.kind == "f" else value.dtype
                self.on_host[name] = torch.tensor(value.astype(kind))
        self.given = [
            {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            for node in model.graph.node
        ]

    def forward(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        known: dict[str, Tensor | None] = {"": None, **self.on_host, **feeds}
        known |= {name: self.get_buffer(buffer) for name, buffer in self.fixed.items()}
        for name, weight in self.learned.items():
            known[name] = self._rounded(name, weight) if name in self.scales else weight
        for node, given in zip(self.model.graph.node, self.given, strict=True):
            inputs = [known[name] for name in node.input]
            known[node.output[0]] = OPERATORS[node.op_type](inputs, given)
        outputs = ((item.name, known[item.name]) for item in self.model.graph.output)
        return {name: value for name, value in outputs if value is not None}

    def _rounded(self, name: str, weight: Tensor) -> Tensor:
        scale, axis = self.scales[name]
        scales = self.get_buffer(self.fixed[scale])
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, axis, -LEVELS, LEVELS)

    def start_from(self, before: onnx.ModelProto) -> None:
        """8-bit weights as they were before they were rounded, in the graph that quantize took."""
        known = {item.name: item for item in before.graph.initializer}
        for name in self.scales:
            item = known.get(name.removesuffix(INT8_FORM))
            if item is not None:
                value = numpy_helper.to_array(item).astype(np.float32)
                self.learned[name].data.copy_(torch.tensor(value))

    def to_onnx(self) -> onnx.ModelProto:
        """The graph with the weights as they are now, each in the type that it had."""
        changed = onnx.ModelProto()
        changed.CopyFrom(self.model)
        for item in changed.graph.initializer:
            if item.name in self.learned:
                value = self.learned[item.name].detach().cpu().numpy()
                if item.name in self.scales:
                    scale, axis = self.scales[item.name]
                    scales = self.get_buffer(self.fixed[scale]).cpu().numpy()
                    value = value / _columns(scales, value.ndim, axis)
                    value = np.clip(np.rint(value), -LEVELS, LEVELS)
                kind = onnx.helper.tensor_dtype_to_np_dtype(item.data_type)
                item.CopyFrom(numpy_helper.from_array(value.astype(kind), item.name))
        return changed


def check_trainable(model: onnx.ModelProto) -> None:
    if problems := list(dict.fromkeys(filter(None, map(not_followed, model.graph.node)))):
        raise BundleError(
            "A network has operators that cannot be trained here.",
            got="; ".join(problems),
            expected=", ".join(sorted(OPERATORS)),
            remedy="leave it as quantize made it: name the others with --models",
        )


def _scales_of_weights(
    graph: onnx.GraphProto, constants: Mapping[str, Any]
) -> dict[str, tuple[str, int]]:
    """For each weight that is stored in 8 bits: its scale's name, and the axis of its channels."""
    found = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            found[node.input[0]] = (node.input[1], axis)
    return found


def _weights_and_biases(graph: onnx.GraphProto) -> set[str]:
    """What is learned. Of an 8-bit weight it is what its DequantizeLinear reads."""
    reads = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"
    }
    taken = {
        name for node in graph.node if node.op_type in WEIGHTED for name in node.input[1:] if name
    }
    return {reads.get(name, name) for name in taken} & {item.name for item in graph.initializer}


def _columns(values: npt.NDArray[Any], dimensions: int, axis: int) -> npt.NDArray[np.float32]:
    shape = [1] * dimensions
    shape[axis] = -1
    return values.astype(np.float32).reshape(shape)
