"""Graphs that exist already become a bundle, by a description in YAML.

The description is bundle.json as YAML, without what is found out here (`schema`, `created`,
`files`, hashes, `golden`). A variant's `file` is an ONNX file beside the description or below it.
The help of `dermedge export` shows one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import onnx
import yaml

from export import parity
from export.build import FIRST_VERSION, MODELS, Making, Order, Step, write_card_file
from export.card import NetworkFacts
from export.golden_images import choose_golden, golden_files, real_looking
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import open_chain
from runtime.errors import InputError, UsageError
from runtime.host_chain import HostChain
from runtime.target_folder import beside

FOUND_OUT = ("schema", "created", "files", "golden")
HELD = {
    "fp32": "32-bit floats, and neither 16-bit ones nor Q/DQ nodes",
    "fp16": "16-bit floats, and no Q/DQ nodes",
    "int8": "QuantizeLinear and DequantizeLinear nodes",
}
LIKE = "the example in `dermedge export --help`, or `dermedge bundle show BUNDLE --json`"


def read_description(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"The description {path} cannot be read.", got=exc) from exc
    except yaml.YAMLError as exc:
        raise InputError(f"The description {path} is not valid YAML.", got=exc) from exc
    if not isinstance(fields, dict) or not isinstance(fields.get("models"), dict):
        raise InputError(
            f"The description {path} describes no bundle.",
            got=f"a {type(fields).__name__}" if not isinstance(fields, dict) else "no `models`",
            expected=f"a mapping with `models` and so on; see {LIKE}",
        )
    given = [key for key in FOUND_OUT if key in fields]
    if given:
        raise InputError(
            f"The description {path} says what export finds out.",
            got=", ".join(given),
            remedy="leave that out",
        )
    return fields


def steps_of(fields: Mapping[str, Any]) -> int:
    return 2 * len(fields["models"]) + 2


def export_graphs(
    description: Path, fields: dict[str, Any], order: Order, step: Step
) -> tuple[LoadedBundle, list[parity.Finding]]:
    backends = parity.usable_backends()
    files = golden_files(order.golden)
    with beside(order.out) as folder:
        making = Making(folder, {"version": FIRST_VERSION, **fields}, step)
        asked = {"name": order.name, "version": order.version}
        making.fields |= {key: value for key, value in asked.items() if value is not None}
        making.fields["created"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        making.fields.setdefault("provenance", {"revision": "not stated"})
        for name, model in making.fields["models"].items():
            step(f"{name}: checking")
            making.fields["models"][name] = _bring_in(making, description.parent, name, model)
        HostChain(making.seal(), backends[0]).close()  # names and shapes, as the device sees them
        _compare_engines(making, real_looking(files), backends)
        step("golden images")
        making.fields["golden"] = choose_golden(making.seal(), files, backends)
        step("card and self-test")
        # Bundle.model_validate has seen by now that provenance is a mapping, and metrics in it.
        provenance = making.fields["provenance"]
        provenance["metrics"] = provenance.get("metrics", {}) | parity.metrics(making.findings)
        command = "dermedge export --onnx DESCRIPTION --out BUNDLE"
        write_card_file(making, command, None)
        open_chain(making.seal(), backends[0]).close()
    return load_bundle(order.out), making.findings


def _bring_in(making: Making, root: Path, name: str, model: Any) -> dict[str, Any]:
    """Copy a model's files into the bundle, unchanged: they may have been validated as they are."""
    variants = model.get("variants") if isinstance(model, dict) else None
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        raise InputError(
            f"models.{name} names no ONNX file.",
            got=model,
            expected="variants: [{precision: fp32, file: NET.onnx}]; see " + LIKE,
        )
    copied: list[dict[str, Any]] = []
    for variant in variants:
        source = root / str(variant.get("file"))
        graph = _checked(source, name)
        _check_ends(graph.graph, name, model)
        _check_precision(graph, f"models.{name}: {source.name}", variant.get("precision"))
        number = "" if not copied else f".{len(copied) + 1}"
        inside = f"{MODELS}/{Path(str(name)).name}{number}.onnx"
        (making.folder / MODELS).mkdir(exist_ok=True)
        shutil.copyfile(source, making.folder / inside)
        copied.append({**variant, "file": inside})
    making.facts[name] = NetworkFacts(name, "brought in as ONNX", None, {})
    return {**model, "variants": copied}


def _checked(source: Path, name: str) -> onnx.ModelProto:
    if not source.is_file():
        raise UsageError(f"The file of models.{name} is not there.", got=source)
    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception as exc:  # protobuf's own error class differs by version
        raise InputError(f"{source.name} is not an ONNX file.", got=type(exc).__name__) from exc
    apart = [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if apart:
        raise InputError(
            f"{source.name} keeps weights in another file.",
            got=f"{len(apart)} tensors, the first {apart[0]}",
            expected="one file with everything in it",
            remedy="onnx.save(onnx.load(FILE), NEW_FILE) puts them in",
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as exc:
        raise InputError(
            f"{source.name} is not a valid graph.", got=str(exc).strip().splitlines()[0]
        ) from exc
    return model


def _check_precision(model: onnx.ModelProto, what: str, declared: object) -> None:
    """Tolerances and engines are chosen by what the description says, so it has to be so."""
    held = precision_of(model)
    if declared in HELD and declared != held:
        raise InputError(
            f"{what} is not in the precision that the description gives it.",
            got=f"{HELD[held]}, as in {held}",
            expected=f"{declared}: {HELD[str(declared)]}",
            remedy=f"precision: {held}, or name the file that is meant",
        )


def precision_of(model: onnx.ModelProto) -> str:
    graph = onnx.shape_inference.infer_shapes(model).graph
    if {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in graph.node}:
        return "int8"
    kinds = {item.type.tensor_type.elem_type for item in graph.value_info}
    kinds |= {item.data_type for item in graph.initializer}
    return "fp16" if onnx.TensorProto.FLOAT16 in kinds else "fp32"


def _check_ends(graph: onnx.GraphProto, name: str, model: Mapping[str, Any]) -> None:
    """Names and types of inputs and outputs; their shapes are checked when an engine has them."""
    constants = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in constants]
    for what, found, listed in (
        ("inputs", inputs, model.get("inputs")), ("outputs", graph.output, model.get("outputs"))
    ):  # fmt: skip
        described = {i.get("name") for i in listed or () if isinstance(i, dict)}
        names = {item.name for item in found}
        fits = described == names if what == "inputs" else described and described <= names
        if not fits:
            raise InputError(
                f"models.{name}: the graph has other {what} than described.",
                got=", ".join(sorted(names)),
                expected=", ".join(sorted(map(str, described))) or f"{what} in the description",
            )
        for item in found:
            kind = item.type.tensor_type.elem_type
            if item.name in described and kind != onnx.TensorProto.FLOAT:
                raise InputError(
                    f"models.{name}: '{item.name}' is not of 32-bit floats.",
                    got=onnx.TensorProto.DataType.Name(kind).lower(),
                    expected="float, whatever the precision inside",
                )


def _compare_engines(making: Making, frames: Any, backends: list[str]) -> None:
    """No PyTorch to ask: the engines are held against the first of them."""
    bundle = making.seal()
    for name in bundle.spec.models:
        making.step(f"{name}: engines against each other")
        if len(backends) < 2:
            continue
        cases = parity.make_feeds(bundle, name, frames)
        expected = parity.run_in(bundle, name, cases, backends[0])
        findings = parity.compare(bundle, name, cases, expected, backends[1:])
        parity.require_passed(findings, backends[0])
        making.findings += findings
