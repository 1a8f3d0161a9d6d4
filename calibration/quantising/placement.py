"""Which layers of a graph can be computed in 8 bits, and which belong together.

What stays in 16 bits, and why:
- everything behind a global pooling (the gates of squeeze-and-excitation, necks and heads): a few
  numbers that scale or decide everything after them, and hardly any work;
- convolutions with fewer than 16 channels on a side, which no engine computes faster in 8 bits;
  depthwise ones count by their outputs;
- sums, products and activations. Of a residual sum, only the shortcut is quantised: the other side
  is a convolution that adds it up before it rounds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import onnx

MIN_CHANNELS = 16
GROUPED_MULTIPLE, GROUPED_KERNEL = 8, 3
MOST_GROUPS = 24  # each is one more engine to build and to run
POOLS = ("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool", "ReduceMean", "ReduceMax")
WEIGHTED = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Site:
    """A layer that can be quantised, found again by the tensor it makes."""

    key: str
    input: str
    weight: str
    axis: int  # of the weight: its output channels
    group: str = ""
    shortcut: tuple[str, str] | None = None  # a sum it goes into, and what else goes in there


def find_sites(model: onnx.ModelProto) -> list[Site]:
    """In the order they run in, with their groups."""
    graph = model.graph
    constants = {item.name: tuple(item.dims) for item in graph.initializer}
    pooled = _behind_pooling(model, constants.keys())
    shortcuts = _shortcuts(graph, constants.keys())
    sites: list[Site] = []
    for node in graph.node:
        axis = _channel_axis(node, constants)
        if axis is None or node.input[0] in pooled or node.input[0] in constants:
            continue
        key = node.output[0]
        sites.append(Site(key, node.input[0], node.input[1], axis, shortcut=shortcuts.get(key)))
    groups = _groups([site.weight for site in sites]) if sites else []
    return [replace(site, group=group) for site, group in zip(sites, groups, strict=True)]


def _channel_axis(node: onnx.NodeProto, constants: dict[str, tuple[int, ...]]) -> int | None:
    """Where a weight's output channels lie; None where the layer is not one for 8 bits."""
    if node.op_type not in WEIGHTED or node.input[1] not in constants:
        return None
    shape = constants[node.input[1]]
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv":
        return 0 if len(shape) == 4 and _wide_enough(shape, given.get("group", 1)) else None
    if len(shape) != 2 or given.get("transA", 0) or min(shape) < MIN_CHANNELS:
        return None
    return 0 if given.get("transB", 0) else 1


def _wide_enough(shape: tuple[int, ...], groups: int) -> bool:
    outputs, inputs = shape[0], shape[1] * groups
    if groups > 1:
        return outputs % GROUPED_MULTIPLE == 0 and min(shape[2:]) >= GROUPED_KERNEL
    return min(outputs, inputs) >= MIN_CHANNELS


def _behind_pooling(model: onnx.ModelProto, constants: Collection[str]) -> set[str]:
    """Tensors that were made from pooled ones alone."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        item.name: [size.dim_value for size in item.type.tensor_type.shape.dim]
        for item in (*inferred.value_info, *inferred.output)
    }
    pooled: set[str] = set()
    for node in model.graph.node:
        if node.op_type in POOLS:
            shape = shapes.get(node.output[0], [])
            # Batch and channels are left, or the rest has shrunk to a single place.
            is_pooled = len(shape) == 2 or (len(shape) > 2 and set(shape[2:]) == {1})
            is_pooled |= node.input[0] in pooled
        else:
            data = [name for name in node.input if name and name not in constants]
            is_pooled = bool(data) and pooled.issuperset(data)
        if is_pooled:
            pooled.update(node.output)
    return pooled


def _shortcuts(graph: onnx.GraphProto, constants: Collection[str]) -> dict[str, tuple[str, str]]:
    """For a convolution that goes into a residual sum: that sum, and its other side."""
    convolved = {node.output[0] for node in graph.node if node.op_type == "Conv"}
    found = {}
    for node in graph.node:
        if node.op_type != "Add" or any(name in constants for name in node.input):
            continue
        made = [name for name in node.input if name in convolved]
        if len(made) == 1:
            (other,) = (name for name in node.input if name != made[0])
            found[made[0]] = (node.output[0], other)
    return found


def _groups(weights: Sequence[str]) -> list[str]:
    """Blocks by the names of the weights, as finely as MOST_GROUPS allows.

    Where names say nothing, neighbours make a group.
    """
    parts = [name.removesuffix(".half").split(".")[:-1] for name in weights]
    best: list[str] = []
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = [".".join(part[:depth]) for part in parts]
        if len(set(names)) > MOST_GROUPS or "" in names:
            break
        best = names
    if len(set(best)) > 1 or len(weights) < 2:
        return _without_common_start(best or ["all"] * len(weights))
    size = -(-len(weights) // min(MOST_GROUPS, len(weights)))
    return [f"layers {n // size * size + 1}–{n // size * size + size}" for n in range(len(weights))]


def _without_common_start(names: list[str]) -> list[str]:
    """`net.trunk.blocks.0` and `net.trunk.blocks.1` become `blocks.0` and `blocks.1`."""
    split = [name.split(".") for name in names]
    common = 0
    while all(len(part) > common + 1 and part[common] == split[0][common] for part in split):
        common += 1
    if common and any(part[common].isdigit() for part in split):
        common -= 1  # a bare number says nothing
    return [".".join(part[common:]) for part in split]
