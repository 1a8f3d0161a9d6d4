"""One model to 8 bits: ranges, method, the layers that stay, the file, and where it is faster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from calibration.quantising.cache import cache_text, ends_of
from calibration.quantising.loss import Judge, Loss
from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import at_opset
from calibration.quantising.ranges import METHODS, measure
from calibration.quantising.sensitivity import Fitted, Trials, fit
from calibration.quantising.speed import File, Speed, compare_speed
from runtime.backends.registry import choose_variant
from runtime.errors import DermedgeError
from runtime.half import to_half

if TYPE_CHECKING:
    from calibration.quantising.loss import Said
    from runtime.bundle import ModelSpec
    from runtime.bundle_files import LoadedBundle

PROBES = 8  # images on which 16 bits are looked at for overflow
UNFOLDED = {"BatchNormalization", "Constant", "Identity"}
AUTO = "auto"

Step = Callable[[str], None]
"""Told what of this model was done; one call a step."""


@dataclass(frozen=True, slots=True)
class Quantised:
    content: bytes
    ranges: str  # of the same layers, beside the float file: for DLA
    method: str
    methods: dict[str, Loss]
    fitted: Fitted
    speeds: tuple[Speed, ...]
    refused: dict[str, str]  # engines that cannot run it, with the reason


def quantise_model(
    bundle: LoadedBundle,
    judge: Judge,
    method: str,
    budget: float,
    backends: Sequence[str],
    step: Step,
) -> Quantised | str:
    """The model in 8 bits, or the reason why it stays as it is."""
    try:
        model = at_opset(half_form(bundle, judge.model, judge.feeds[:PROBES]))
    except DermedgeError as error:
        return error.one_line
    sites = find_sites(model)
    if not sites:
        return "it has no layer that 8 bits would speed up"
    inputs = [site.input for site in sites]
    inputs += [site.shortcut[1] for site in sites if site.shortcut is not None]
    tensors = list(dict.fromkeys([*inputs, *ends_of(model, sites)]))
    seen = measure(model, tensors, judge.feeds, lambda: step("ranges"))
    wanted = list(METHODS) if method == AUTO else [method]
    trials: dict[str, Trials] = {}
    methods: dict[str, Loss] = {}
    for name in wanted:
        limits = {tensor: METHODS[name](seen[tensor]) for tensor in inputs}
        trials[name] = Trials(model, sites, limits, judge)
        methods[name] = trials[name].loss()
        step(name)
    best = min(wanted, key=lambda name: (methods[name].mean, methods[name].worst))
    fitted = fit(trials[best], methods[best], budget, lambda: step("layer groups"))
    if not fitted.within_budget:
        return f"no part of it stays within its budget in 8 bits: {fitted.loss}, budget {budget:g}"
    content = trials[best].graph(fitted.kept)
    chosen, kept = ([s for s in sites if (s.group in fitted.kept) == k] for k in (False, True))
    limits = {name: METHODS[best](seen[name]) for name in ends_of(model, chosen, kept)}
    ranges = cache_text(float_file(bundle, judge.model), limits)
    speeds, refused = _speeds(bundle, judge, content, backends)
    step("speed")
    return Quantised(content, ranges, best, methods, fitted, speeds, refused)


def half_form(bundle: LoadedBundle, spec: ModelSpec, probes: Sequence[Said]) -> onnx.ModelProto:
    """The 16-bit graph that the 8-bit layers go into: the bundle's own, or made from fp32."""
    graph = only_asked(onnx.load(str(float_file(bundle, spec))), spec)
    if any(variant.precision == "fp16" for variant in spec.variants):
        return graph
    return to_half(folded(graph), probes)


def float_file(bundle: LoadedBundle, spec: ModelSpec) -> Path:
    """In 16 bits where there is one: what `dermedge build --dla` takes as well."""
    files = {variant.precision: variant.file for variant in spec.variants}
    return bundle.path / (files["fp16"] if "fp16" in files else files["fp32"])


def only_asked(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Without what only other models ask of the file: a heat map stays in 16 bits."""
    wanted = [output.name for output in spec.outputs]
    if {port.name for port in model.graph.output} == set(wanted):
        return model
    known = {item.name for item in model.graph.initializer}
    inputs = [port.name for port in model.graph.input if port.name not in known]
    return onnx.utils.Extractor(model).extract_model(inputs, wanted)


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants as weights and batch normalisations within their convolutions, where they can be.

    Graphs that export writes are so already; those that were brought in need not be.
    """
    if not UNFOLDED.intersection(node.op_type for node in model.graph.node):
        return model
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="dermedge-") as folder:
        source, file = Path(folder) / "source.onnx", Path(folder) / "folded.onnx"
        onnx.save(model, str(source))  # given in memory, the axes of a ReduceMean are lost to it
        quant_pre_process(str(source), str(file), skip_symbolic_shape=True)
        done = onnx.load(str(file))
    if any(node.domain not in ("", "ai.onnx") for node in done.graph.node):
        return model  # operators of ONNX Runtime's own are for no other engine
    kept = [item for item in done.opset_import if item.domain in ("", "ai.onnx")]
    del done.opset_import[:]
    done.opset_import.extend(kept)
    return done


def fp32_size(bundle: LoadedBundle, judge: Judge) -> int:
    """Bytes of the float32 file; where there is none, what the 16-bit one would have in 32."""
    files = {variant.precision: bundle.path / variant.file for variant in judge.model.variants}
    if "fp32" in files:
        return files["fp32"].stat().st_size
    model = onnx.load(str(files["fp16"]))
    halves = [i for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT16]
    numbers = sum(onnx.numpy_helper.to_array(item).size for item in halves)
    return files["fp16"].stat().st_size + 2 * numbers


def _speeds(
    bundle: LoadedBundle, judge: Judge, content: bytes, backends: Sequence[str]
) -> tuple[tuple[Speed, ...], dict[str, str]]:
    speeds, refused = [], {}
    for backend in backends:
        variant = choose_variant(judge.name, judge.model, backend)
        now = File(variant.precision, (bundle.path / variant.file).read_bytes())
        files = (now, File("int8", content))
        found = compare_speed(
            backend, judge.name, judge.model, files, judge.feeds[:PROBES], judge.classes
        )
        if isinstance(found, Speed):
            speeds.append(found)
        else:
            refused[backend] = found.one_line
    return tuple(speeds), refused
