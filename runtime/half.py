"""The 16-bit form of a graph: its weights and its arithmetic, between float32 ends.

The precision lies in the graph itself, as casts and float16 tensors, because that is the one form
that every TensorRT takes (newer ones have no precision flag any more). What does not fit 16 bits
stays in 32: the last softmax or sigmoid, and every layer whose numbers come near the largest that
float16 can hold. CPU engines compute such a graph in float32 and would not show that overflow; so
it is looked for beforehand, in every tensor of the float32 graph.

It lives in the runtime because export and calibration both make such graphs and may not import
each other. Nothing on the device calls it; `onnx` is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.errors import DermedgeError

if TYPE_CHECKING:
    import onnx

Floats = npt.NDArray[np.float32]

LARGEST = 65504.0  # of float16
HEADROOM = 4.0  # other images than those tried may make numbers that much larger
KEPT = ("Softmax", "Sigmoid")  # where they end a graph: probabilities are worth all their digits
FLOAT_INPUTS = {"Resize": (1, 2)}  # region and scales are float32 by definition
FIX_A_TYPE = ("Cast", "Constant", "ConstantOfShape", "Range", "QuantizeLinear", "DequantizeLinear")


def to_half(model: onnx.ModelProto, probes: Iterable[Mapping[str, Floats]]) -> onnx.ModelProto:
    """A float16 copy. `probes` are inputs like those to come, to find what would overflow."""
    import onnx

    model = _without_batchnorm(model)
    peaks = measure_peaks(model, probes)
    half = _Halving(model, _islands(model, peaks)).result()
    onnx.checker.check_model(half, full_check=True)
    return half


def measure_peaks(
    model: onnx.ModelProto, probes: Iterable[Mapping[str, Floats]]
) -> dict[str, float]:
    """The largest absolute value of every tensor that a node of the graph makes."""
    from openvino import Core

    core = Core()
    network = core.read_model(model.SerializeToString())
    names = [name for node in model.graph.node for name in node.output if name]
    known = {name for op in network.get_ops() for out in op.outputs() for name in out.names}
    inner = [name for name in names if name in known]
    already = {name for out in network.outputs for name in out.names}
    network.add_outputs([name for name in inner if name not in already])
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    peaks = dict.fromkeys(inner, 0.0)
    for feeds in probes:
        outputs = compiled(dict(feeds))
        for port, value in outputs.items():
            if value.dtype != np.float32 or not value.size:
                continue
            peak = float(np.abs(value).max())
            for name in port.names & peaks.keys():
                peaks[name] = max(peaks[name], peak) if np.isfinite(peak) else float("inf")
    return peaks


def _islands(model: onnx.ModelProto, peaks: Mapping[str, float]) -> set[str]:
    """Outputs of the nodes that stay in float32."""
    from onnx import TensorProto, numpy_helper

    too_large = {name for name, peak in peaks.items() if peak * HEADROOM > LARGEST}
    too_large |= {
        item.name
        for item in model.graph.initializer
        if item.data_type == TensorProto.FLOAT
        and np.abs(numpy_helper.to_array(item)).max(initial=0) > LARGEST
    }
    ends = {item.name for item in model.graph.output}
    return {
        node.output[0]
        for node in model.graph.node
        if node.op_type in FIX_A_TYPE
        or too_large.intersection((*node.input, *node.output))
        or (node.op_type in KEPT and ends.intersection(node.output))
    }


def _without_batchnorm(model: onnx.ModelProto) -> onnx.ModelProto:
    """What could not be folded becomes a product and a sum: variances would not fit 16 bits."""
    import onnx
    from onnx import helper, numpy_helper

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    constants = {item.name: item for item in changed.graph.initializer}
    nodes = []
    for node in changed.graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        scale, shift, mean, variance = (
            numpy_helper.to_array(constants[name]).astype(np.float64) for name in node.input[1:]
        )
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        out = node.output[0]
        for name, value in (("factor", factor), ("term", shift - mean * factor)):
            column = value.astype(np.float32).reshape(-1, 1, 1)
            changed.graph.initializer.append(numpy_helper.from_array(column, f"{out}.{name}"))
        product = f"{out}.product"
        nodes.append(helper.make_node("Mul", [node.input[0], f"{out}.factor"], [product]))
        nodes.append(helper.make_node("Add", [product, f"{out}.term"], [out]))
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    _drop_unused(changed.graph)
    return changed


@dataclass
class _Halving:
    """One pass over the nodes, in the order they run in, that keeps account of every tensor."""

    model: onnx.ModelProto
    islands: set[str]
    floats: dict[str, int] = field(default_factory=dict)  # float tensors and the type they have
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    made: dict[tuple[str, int], str] = field(default_factory=dict)  # casts, by what and to which
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def result(self) -> onnx.ModelProto:
        import onnx
        from onnx import TensorProto

        inferred = onnx.shape_inference.infer_shapes(self.model, strict_mode=True).graph
        half = onnx.ModelProto()
        half.CopyFrom(self.model)
        graph = half.graph
        every = (*inferred.value_info, *inferred.input, *inferred.output)
        is_float = {
            item.name for item in every if item.type.tensor_type.elem_type == TensorProto.FLOAT
        }
        self.constants = {
            item.name: item for item in graph.initializer if item.data_type == TensorProto.FLOAT
        }
        self.floats = {
            item.name: TensorProto.FLOAT for item in graph.input if item.name in is_float
        }
        ends = {item.name for item in graph.output}
        for node in graph.node:
            self._convert(node, is_float, ends)
        del graph.node[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self._halved_constants())
        del graph.value_info[:]  # it says what the tensors were
        _drop_unused(graph)
        return half

    def _convert(self, node: onnx.NodeProto, is_float: set[str], ends: set[str]) -> None:
        from onnx import TensorProto, helper

        _refuse_graphs_within(node)
        kind = TensorProto.FLOAT if node.output[0] in self.islands else TensorProto.FLOAT16
        for place, name in enumerate(node.input):
            exempt = place in FLOAT_INPUTS.get(node.op_type, ())
            node.input[place] = self._as(name, TensorProto.FLOAT if exempt else kind)
        late = []
        for place, name in enumerate(node.output):
            if name not in is_float:
                continue
            self.floats[name] = kind
            if name in ends and kind == TensorProto.FLOAT16:  # the graph's ends are float32
                inner = f"{name}.half"
                node.output[place] = inner
                self.made[name, TensorProto.FLOAT16] = inner
                self.floats[name] = TensorProto.FLOAT
                late.append(helper.make_node("Cast", [inner], [name], to=TensorProto.FLOAT))
        self.nodes += [node, *late]

    def _as(self, name: str, kind: int) -> str:
        """The name under which a tensor is there in the type wanted."""
        from onnx import TensorProto, helper

        if name in self.constants and kind == TensorProto.FLOAT16:
            self.made[name, kind] = f"{name}.half"
            return f"{name}.half"
        if self.floats.get(name, kind) == kind:
            return name
        if (name, kind) not in self.made:
            cast = f"{name}.half" if kind == TensorProto.FLOAT16 else f"{name}.float"
            self.nodes.append(helper.make_node("Cast", [name], [cast], to=kind))
            self.made[name, kind] = cast
        return self.made[name, kind]

    def _halved_constants(self) -> list[onnx.TensorProto]:
        from onnx import TensorProto, numpy_helper

        return [
            numpy_helper.from_array(numpy_helper.to_array(item).astype(np.float16), f"{name}.half")
            for name, item in self.constants.items()
            if (name, TensorProto.FLOAT16) in self.made
        ]


def _refuse_graphs_within(node: onnx.NodeProto) -> None:
    import onnx

    if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
        raise DermedgeError(
            "This graph cannot be converted to 16 bits.",
            got=f"the operator {node.op_type}, which holds a graph of its own",
            remedy="--precision fp32",
        )


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
