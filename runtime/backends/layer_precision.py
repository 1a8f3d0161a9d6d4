"""In which precision layers compute: as the graph asks, as the network was parsed, as it was built.

TensorRT may legally compute in another type than one meant, and says nothing about it. So the
types of the parsed network are compared with the precision of the bundle's file, and the types
that the finished engine touches with those of the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.backends.trt_flavours import type_name
from runtime.errors import BackendError

MULTIPLYING = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "FULLY_CONNECTED")
NOT_COMPUTING = ("CONSTANT", "SHAPE", "QUANTIZE", "DEQUANTIZE", "CAST", "IDENTITY")
PRECISION = {
    "FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "FP8": "fp8", "INT8": "int8",
}  # fmt: skip
ALLOWED = {"fp32": {"fp32"}, "fp16": {"fp16", "fp32"}, "int8": {"int8", "fp16", "fp32"}}
"""What may stand beside the precision asked for. What overflows 16 bits is kept in 32 by export."""

# In this order: "Float16" is a half, "BFloat16" is neither, "E4M3" and "FP8" are eight bits.
WORDS = (
    ("bf16", r"bf16|bfloat"),
    ("fp8", r"fp8|float8|e4m3|e5m2"),
    ("int8", r"int8"),
    ("fp16", r"half|fp16|float16"),
    ("fp32", r"float|fp32"),
)
NODE = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
BLOCK = re.compile(r"ForeignNode\[|LayerType: Myelin\b")
MATCHED = 0.8
"""Of the layers that multiply, so many must be found among the kernels by name. Not all can be:
those that no output needs are dropped, and constants are folded."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the parsed network, which has the name of its ONNX node."""

    name: str
    kind: str
    precision: str | None  # None: it computes no numbers of a network, but sizes or indices

    @property
    def multiplies(self) -> bool:
        return self.kind in MULTIPLYING


@dataclass(frozen=True, slots=True)
class Built:
    """A layer of the finished engine: the ONNX nodes in it, and the types it reads and writes."""

    nodes: frozenset[str]
    types: frozenset[str]
    block: bool = False  # many layers in one, of which only the ends are told


def layers_of(network: Any) -> list[Layer]:
    """Every computing layer of a parsed network, with the type that it computes in."""
    rows = [network.get_layer(index) for index in range(network.num_layers)]
    dequantised = {row.get_output(0).name for row in rows if type_name(row.type) == "DEQUANTIZE"}
    found = []
    for row in rows:
        kind = type_name(row.type)
        output = row.get_output(0) if row.num_outputs else None
        if kind in NOT_COMPUTING or output is None:
            continue
        first = row.get_input(0) if row.num_inputs else None
        precision = PRECISION.get(type_name(output.dtype))
        if kind in MULTIPLYING and first is not None and first.name in dequantised:
            precision = "int8"  # between Q and DQ: the integers are multiplied
        found.append(Layer(row.name, kind, precision))
    return found


def counted(layers: Sequence[Layer]) -> dict[str, int]:
    """Layers by precision, of those that compute on numbers of the network."""
    counts = Counter(layer.precision for layer in layers if layer.precision)
    return {name: counts[name] for name in ("int8", "fp16", "fp32", "bf16", "fp8") if counts[name]}


def check_network(file: str, asked: str, layers: Sequence[Layer]) -> None:
    """Raise BackendError where the parsed network is in another precision than the file's."""
    counts = counted(layers)
    others = [layer for layer in layers if layer.precision not in (None, *ALLOWED[asked])]
    if others or (counts and asked not in counts):
        raise _another(file, asked, _told(counts), [layer.name for layer in others])


def multiplying(layers: Sequence[Layer]) -> dict[str, str]:
    """What the network multiplies in, by layer: kept beside the plan, for when it is loaded."""
    return {layer.name: layer.precision for layer in layers if layer.multiplies and layer.precision}


def check_engine(file: str, asked: str, typed: Mapping[str, str], built: Sequence[Built]) -> bool:
    """Raise BackendError where the engine computes a layer in another type than the network has.

    Only where there is evidence: a kernel that names the layer and touches no tensor of its type;
    where 32 bits were asked for, any kernel that touches a smaller type; kernels of which none
    touches the type asked for. Otherwise, whether enough was seen to say that there is no such
    layer: most of those that multiply by name, or for 32 bits every kernel.
    """
    if not built:
        raise BackendError(
            f"The engine of {file} does not say in which precision it computes.",
            expected="its layers with their types",
            remedy="dermedge build --force",
        )
    wrong = []
    if asked == "fp32":
        wrong = sorted({n for row in built if row.types - {"fp32"} for n in row.nodes or ("?",)})
    kernels = [row for row in built if row.types and not row.block]
    found = 0
    for name, precision in typed.items():
        touched = [row.types for row in kernels if name in row.nodes]
        found += bool(touched)
        if precision != "fp32" and touched and not any(precision in types for types in touched):
            wrong.append(name)
    types = Counter(kind for row in built for kind in row.types)
    hidden = any(row.block for row in built)
    if wrong or (kernels and not hidden and asked not in types):
        raise _another(file, asked, "kernels that touch " + _told(types), wrong)
    if asked == "fp32":
        return bool(kernels) and not hidden
    return found > 0 and found >= MATCHED * len(typed)


def _another(file: str, asked: str, got: str, names: Sequence[str]) -> BackendError:
    some = f", first in {', '.join(repr(name) for name in names[:3])}" if names else ""
    return BackendError(
        f"The engine of {file} would compute in another precision than was asked for.",
        got=f"{got}{some}",
        expected=asked,
        remedy="export or quantize the bundle again, or build another variant with --precision",
    )


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "no such layer"


def inspected(report: Mapping[str, Any]) -> list[Built]:
    """An engine's layers from its inspector, as TensorRT 8 and 10 write them or as 11 does.

    Empty where it only gives names: such an engine was built without detailed profiling.
    """
    rows = [row for row in report.get("Layers", ()) if isinstance(row, Mapping)]
    return [_built(row) for row in rows]


def _built(row: Mapping[str, Any]) -> Built:
    tensors = [
        tensor
        for part in ("Inputs", "Outputs", "Constants")
        for tensor in row.get(part) or ()
        if isinstance(tensor, Mapping)
    ]
    types = {
        _precision(str(tensor[key]))
        for tensor in tensors
        for key in ("Format/Datatype", "Datatype", "DataType")
        if key in tensor
    }
    title = f"{row.get('Name')}, LayerType: {row.get('LayerType')}"
    return Built(_nodes(row), frozenset(kind for kind in types if kind), _is_block(title))


def _is_block(title: str) -> bool:
    return BLOCK.search(title) is not None


def _nodes(row: Mapping[str, Any]) -> frozenset[str]:
    """ONNX nodes by the engine's metadata, else by the name that fusing gave the layer."""
    named = NODE.findall(str(row.get("Metadata", "")))
    if not named:
        named = re.split(r"\s*(?:\+|\|\|)\s*", str(row.get("Name", "")))
    return frozenset(named)


def reported(log: str) -> list[Built]:
    """An engine's layers from what the builder prints of them, where it does.

    The same facts as the inspector's, in lines of text; and there to be had without a GPU.
    """
    found = []
    for line in log.splitlines():
        if not line.startswith("Name: ") or ", LayerType: " not in line:
            continue
        kinds = {_precision(word) for word in re.findall(r"Data[Tt]ype: (\w+)", line)}
        nodes = frozenset(NODE.findall(line))
        block = _is_block(line.partition(", Inputs:")[0])
        found.append(Built(nodes, frozenset(kind for kind in kinds if kind), block))
    return found


def _precision(text: str) -> str | None:
    for name, pattern in WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return None
