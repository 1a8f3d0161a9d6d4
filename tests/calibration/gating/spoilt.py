"""Candidates that are spoilt on purpose, to see what the gate refuses.

    python -m tests.calibration.gating.spoilt --bundle B8 --model lesion --factor 4 --out S

The scales of one network's 8-bit file are multiplied, and golden images are measured anew, as
somebody who deceives himself would: what they cannot test any more is left out of the bundle.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.errors import BundleError, UsageError
from runtime.golden import measure_golden

ENGINES = ("openvino",)


def spoil(bundle: LoadedBundle, model: str, factor: float, out: Path, activations: bool) -> Path:
    """A sealed copy in `out`. `activations`: their scales alone, and no weight's."""
    if model not in bundle.spec.models:
        raise UsageError(
            f"The bundle has no model '{model}'.", expected=", ".join(bundle.spec.models)
        )
    variants = bundle.spec.models[model].variants
    files = [variant.file for variant in variants if variant.precision == "int8"]
    if not files or out.exists():
        raise UsageError(
            f"No spoilt copy of '{model}' can be made.",
            got=f"{out}, which is there" if files else "no file of it in 8 bits",
            expected="a model in 8 bits, and a folder that is not there yet",
        )
    shutil.copytree(bundle.path, out)
    graph = onnx.load(str(out / files[0]))
    multiply(graph, factor, activations)
    onnx.save(graph, str(out / files[0]))
    fields = fields_of(bundle)
    fields["gate"]["result"] = fields["released"] = None
    spoilt = seal(out, fields | {"golden": []})
    fields["golden"] = golden_anew(spoilt, [golden.image for golden in bundle.spec.golden])
    return seal(out, fields).path


def multiply(graph: onnx.ModelProto, factor: float, activations: bool) -> int:
    """How many scales were: of what is quantised while it runs, or of stored weights as well."""
    ends = [n for n in graph.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    running = {node.input[1] for node in ends if node.op_type == "QuantizeLinear"}
    wanted = running if activations else {node.input[1] for node in ends}
    found = [item for item in graph.graph.initializer if item.name in wanted]
    for item in found:
        scale = numpy_helper.to_array(item)
        item.CopyFrom(numpy_helper.from_array((scale * factor).astype(scale.dtype), item.name))
    return len(found)


def golden_anew(bundle: LoadedBundle, images: list[str]) -> list[dict[str, Any]]:
    measured: list[dict[str, Any]] = []
    for image in images:
        try:
            measured += measure_golden(bundle, [image], ENGINES)
        except BundleError as error:
            print(f"left out: {error.one_line}")
    return measured


def main(bundle: Path, model: str, factor: float, activations_only: bool, out: Path) -> None:
    path = spoil(load_bundle(bundle), model, factor, out, activations_only)
    print(f"{path}: {model} with scales times {factor:g}")


if __name__ == "__main__":
    import click

    PATH = click.Path(path_type=Path)
    OPTIONS = (
        click.option("--bundle", type=PATH, required=True),
        click.option("--model", required=True),
        click.option("--factor", type=float, default=4.0, show_default=True),
        click.option("--activations-only", is_flag=True, help="Leave the weights' scales alone."),
        click.option("--out", type=PATH, required=True),
    )
    command = main
    for option in OPTIONS:
        command = option(command)
    click.command()(command)()
