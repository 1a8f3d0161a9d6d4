"""Ranges beside a float graph, in the text form of TensorRT's calibration caches.

DLA takes no Q/DQ: it is given the float file, and the scale of each tensor apart from it. A tensor
without a scale keeps the layers around it in 16 bits. So both ends of the layers in 8 bits are in,
with what is fused behind them, and whatever a layer writes that is to stay in 16 is left out, even
where another one in 8 bits reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from calibration.quantising.placement import Site
from calibration.quantising.qdq import LEVELS

FOLDER = "calibration"
HEADER = "TRT-8603-EntropyCalibration2"  # the kind of calibrator that build hands them over by
FUSED = ("Relu", "Clip", "Add")


def ends_of(model: onnx.ModelProto, sites: Sequence[Site], kept: Sequence[Site] = ()) -> list[str]:
    """What these layers read and write, less what those that are kept in 16 bits write."""
    read = {site.input for site in sites}
    read |= {site.shortcut[1] for site in sites if site.shortcut is not None}
    return sorted((read | _written(model, sites)) - _written(model, kept))


def _written(model: onnx.ModelProto, sites: Sequence[Site]) -> set[str]:
    """Their outputs, and what activations and sums make of them."""
    made = {site.key for site in sites}
    for node in model.graph.node:
        if node.op_type in FUSED and made.intersection(node.input):
            made.update(node.output)
    return made


def cache_text(file: Path, limits: Mapping[str, float]) -> str:
    """Of the tensors that the float file has: 16-bit forms have some of their own."""
    graph = onnx.load(str(file), load_external_data=False).graph
    known = {item.name for item in graph.input}
    known.update(name for node in graph.node for name in node.output)
    rows = [f"{name}: {_scale(limits[name])}" for name in sorted(limits) if name in known]
    return "\n".join([HEADER, *rows]) + "\n"


def _scale(limit: float) -> str:
    return struct.pack(">f", limit / LEVELS).hex()
