"""The demo bundle with its 8 bits taken back: every number may again be any number.

It ships in 8 bits alone. Its weights are those of the 8-bit files, which training chose among all
that a float file could hold, so whoever quantises this bundle finds networks that have learned.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from runtime import demo
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal

Off = Callable[[tuple[int, ...]], np.ndarray]  # how far levels of this shape are off, in steps
OF_8_BITS = ("calibration.json", "sensitivity.csv", "sensitivity.png")


def make_float_demo(folder: Path, spread: float = 0.0, **provenance: Any) -> LoadedBundle:
    """`spread`: how many steps at most a weight lies from the level that it is rounded to. Without
    it weights lose nothing by 8 bits: a network that was never rounded has 0.5."""
    rng = np.random.default_rng(0)
    shutil.copytree(demo.BUNDLE, folder)
    fields = fields_of(load_bundle(folder))
    for name, model in fields["models"].items():
        if any(variant["precision"] == "int8" for variant in model["variants"]):
            made = float_graph(name, lambda shape: rng.uniform(-spread, spread, shape))
            onnx.save(made, folder / (file := f"models/{name}.unrounded.onnx"))
            model["variants"] = [{"precision": "fp16", "file": file}]
    named = {v["file"] for model in fields["models"].values() for v in model["variants"]}
    for present in (folder / "models").iterdir():
        if f"models/{present.name}" not in named:
            present.unlink()
    for golden in fields["golden"]:
        golden["tolerance"]["fp16"] = golden["tolerance"].pop("int8")
    for name in OF_8_BITS:
        (folder / name).unlink(missing_ok=True)
    fields["provenance"] |= provenance
    fields["gate"]["result"] = None
    return seal(folder, fields)


def float_graph(name: str, off: Off = np.zeros) -> onnx.ModelProto:
    """Of a network that ships in 8 bits: weights as they are multiplied, and no step rounded."""
    shipped = load_bundle(demo.BUNDLE)
    variants = shipped.spec.models[name].variants
    (file,) = (variant.file for variant in variants if variant.precision == "int8")
    made = onnx.load(str(shipped.path / file))
    graph = made.graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    rounded = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    renamed: dict[str, str] = {}
    for node in graph.node:
        if node.op_type != "DequantizeLinear":
            continue
        if node.input[0] in rounded:
            renamed[node.output[0]] = rounded[node.input[0]]
            continue
        levels, *scale = (constants[each] for each in node.input)
        weight = _multiplied(node, levels + off(levels.shape), *scale)
        graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
    kept = [n for n in graph.node if n.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    for node in kept:
        node.input[:] = [renamed.get(each, each) for each in node.input]
    for output in graph.output:
        assert output.name not in renamed
    used = {each for node in kept for each in node.input}
    constant = [each for each in graph.initializer if each.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(constant)
    onnx.checker.check_model(made, full_check=True)
    return made


def _multiplied(
    node: onnx.NodeProto, values: np.ndarray, scale: np.ndarray, zero: np.ndarray
) -> np.ndarray:
    if scale.ndim:
        axis = next(a.i for a in node.attribute if a.name == "axis")
        shape = [-1 if place == axis else 1 for place in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    steps = values.astype(np.float32) - zero.astype(np.float32)
    return (steps * scale.astype(np.float32)).astype(scale.dtype)
