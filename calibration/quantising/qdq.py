"""Q/DQ into a graph: symmetric, signed 8 bits, weights by channel, activations by tensor.

This is the one form that TensorRT and OpenVINO both take and both run in 8 bits:
- zero points are zero, and biases stay as they are: TensorRT refuses anything else;
- weights are stored as 8-bit numbers with a DequantizeLinear, a quarter of their size in float32;
- scales have the type of what they scale. In a 16-bit graph they are 16-bit, so that nothing is
  cast between a layer and its Q/DQ, where a cast would keep TensorRT from seeing an 8-bit layer;
- what a layer puts out is left alone, so that it is fused with the activation after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from calibration.quantising.placement import Site
from runtime.errors import DermedgeError

OPSET = 19  # the first in which scales may have 16 bits
IR_VERSION = 9
LEVELS = 127  # −128 is not used: a weight and its negative round alike
INT8_FORM = ".int8"  # what the name of a weight gets where it is stored in 8 bits
SMALLEST = 2.0**-20
"""No scale is below this: 16-bit numbers get too coarse there to say how large it is."""

Array = npt.NDArray[np.generic]


def at_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in a version of ONNX in which 16-bit scales exist."""
    default = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    changed = model
    if default < OPSET:
        try:
            changed = onnx.version_converter.convert_version(model, OPSET)
        except Exception as exc:  # the converter's errors have no class of their own
            raise DermedgeError(
                "A graph cannot be brought to the version of ONNX that 8 bits need.",
                got=f"opset {default}: {str(exc).splitlines()[0][:200]}",
                expected=f"opset {OPSET}",
                remedy="export the network again with a newer opset",
            ) from exc
    changed.ir_version = max(changed.ir_version, IR_VERSION)
    return changed


def insert(
    model: onnx.ModelProto, sites: Sequence[Site], limits: Mapping[str, float]
) -> onnx.ModelProto:
    """A copy in which `sites` are computed in 8 bits; `limits` is each input's largest value."""
    work = _Insertion(model, {site.key: site for site in sites}, limits)
    changed = work.result()
    onnx.checker.check_model(changed, full_check=True)
    return changed


def quantise_weight(weight: Array, axis: int) -> tuple[npt.NDArray[np.int8], Array]:
    """8-bit numbers and one scale a channel. Scales round up, so that no weight is cut off."""
    values = weight.astype(np.float32)
    others = tuple(n for n in range(values.ndim) if n != axis)
    wanted = np.maximum(np.abs(values).max(axis=others) / LEVELS, SMALLEST)
    scales = _rounded_up(wanted, weight.dtype)
    column = [1] * values.ndim
    column[axis] = -1
    levels = np.rint(values / scales.astype(np.float32).reshape(column))
    return np.clip(levels, -LEVELS, LEVELS).astype(np.int8), scales


def _rounded_up(values: npt.NDArray[np.float32], kind: np.dtype) -> Array:
    rounded = values.astype(kind)
    return np.where(rounded < values, np.nextafter(rounded, kind.type(np.inf)), rounded)


@dataclass
class _Insertion:
    model: onnx.ModelProto
    sites: Mapping[str, Site]
    limits: Mapping[str, float]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    new: list[onnx.TensorProto] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)  # tensors, and their quantised selves

    def result(self) -> onnx.ModelProto:
        changed = onnx.ModelProto()
        changed.CopyFrom(self.model)
        graph = changed.graph
        constants = {item.name: item for item in graph.initializer}
        sums = dict(s.shortcut for s in self.sites.values() if s.shortcut is not None)
        kinds = _float_types(self.model)
        for node in graph.node:
            site = self.sites.get(node.output[0])
            if site is not None:
                weight = numpy_helper.to_array(constants[site.weight])
                node.input[0] = self._activation(site.input, weight.dtype)
                node.input[1] = self._weight(site, weight)
            other = sums.get(node.output[0])
            if other in self.limits and other in kinds:
                place = list(node.input).index(other)
                node.input[place] = self._activation(other, kinds[other])
            self.nodes.append(node)
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.new)
        used = {name for node in graph.node for name in node.input}
        kept = [item for item in graph.initializer if item.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return changed

    def _activation(self, name: str, kind: np.dtype) -> str:
        """Quantised once, whoever takes it: they then share one 8-bit tensor."""
        if name not in self.done:
            wanted = np.float32(max(self.limits[name] / LEVELS, SMALLEST))
            scale, zero, inner, out = (f"{name}.{end}" for end in ("scale", "zero", "int8", "dq"))
            self._constant(scale, np.asarray(wanted, dtype=kind))
            self._constant(zero, np.asarray(0, dtype=np.int8))
            self.nodes += [
                helper.make_node("QuantizeLinear", [name, scale, zero], [inner], f"{inner}.q"),
                helper.make_node("DequantizeLinear", [inner, scale, zero], [out], f"{inner}.d"),
            ]
            self.done[name] = out
        return self.done[name]

    def _weight(self, site: Site, weight: Array) -> str:
        name = site.weight
        if name not in self.done:
            levels, scales = quantise_weight(weight, site.axis)
            inner = name + INT8_FORM
            scale, zero, out = (f"{name}.{end}" for end in ("scale", "zero", "dq"))
            self._constant(inner, levels)
            self._constant(scale, scales)
            self._constant(zero, np.zeros(len(scales), dtype=np.int8))
            inputs = [inner, scale, zero]
            self.nodes.append(
                helper.make_node("DequantizeLinear", inputs, [out], f"{inner}.d", axis=site.axis)
            )
            self.done[name] = out
        return self.done[name]

    def _constant(self, name: str, value: Array) -> None:
        self.new.append(numpy_helper.from_array(value, name))


def _float_types(model: onnx.ModelProto) -> dict[str, np.dtype]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds: dict[int, np.dtype] = {
        onnx.TensorProto.FLOAT: np.dtype("f4"),
        onnx.TensorProto.FLOAT16: np.dtype("f2"),
    }
    return {
        item.name: kinds[item.type.tensor_type.elem_type]
        for item in (*inferred.value_info, *inferred.input, *inferred.output)
        if item.type.tensor_type.elem_type in kinds
    }
