"""OpenVINO on the CPU: the default where there is no NVIDIA device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.backends.base import Engine, Floats, Graph, Shape, at_batch_one, first_line
from runtime.backends.openvino_bytes import has_sound_kernels, shift_bytes, takes_signed
from runtime.backends.openvino_cache import keep_compiled, load_compiled
from runtime.errors import BackendError, BundleError, missing_extra
from runtime.machine import cpu, engine_folder

if TYPE_CHECKING:
    import openvino


class OpenVinoEngine(Engine):
    backend = "openvino"

    def _load(self, graph: Graph, threads: int | None) -> None:
        core, settings = _core(), _settings(threads)
        compiled = load_compiled(core, graph, settings, engine_folder()) or _compiled(
            core, graph, settings
        )
        self._request = compiled.create_infer_request()
        self.device = cpu()[0]
        self.inputs = _by_name(compiled.inputs, {item.name for item in graph.spec.inputs})
        self.outputs = _by_name(compiled.outputs, {item.name for item in graph.spec.outputs})

    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        self._request.infer(feeds, share_inputs=True)
        return {name: self._request.get_tensor(name).data.copy() for name in self.outputs}

    def _free(self) -> None:
        del self._request


def compile_to(graph: Graph, folder: Path, again: bool = False) -> int | None:
    """Compile a graph and keep it for the next time it is loaded. Its size in bytes; None where it
    is there already."""
    core, settings = _core(), _settings(None)
    if not again and load_compiled(core, graph, settings, folder) is not None:
        return None
    return keep_compiled(_compiled(core, graph, settings), graph, settings, folder)


def _compiled(
    core: openvino.Core, graph: Graph, settings: Mapping[str, object]
) -> openvino.CompiledModel:
    try:
        model = core.read_model(graph.content)
        model.reshape({port: list(_shape(port)) for port in model.inputs})
        _drop_unasked(model, {item.name for item in graph.spec.outputs})
    except Exception as exc:
        raise BundleError(
            f"{graph.file} is not a graph that OpenVINO can read.",
            got=first_line(exc),
            expected="an ONNX file with fixed sizes but for the batch",
            remedy="export the bundle again",
        ) from exc
    _check_weights(model, graph.file)
    if not takes_signed():
        shift_bytes(model)
    try:
        return core.compile_model(model, "CPU", dict(settings))
    except Exception as exc:
        raise BackendError(
            f"OpenVINO cannot run {graph.file}.",
            got=first_line(exc),
            remedy="--backend onnxruntime  (pip install 'dermedge[ort]')",
        ) from exc


def _drop_unasked(model: openvino.Model, wanted: set[str]) -> None:
    """What only other models of the bundle ask of this file is not computed. A file that gives
    nothing of what was wanted is left as it is, for those who check whether it fits."""
    unasked = [end for end in model.get_results() if not wanted & end.output(0).get_names()]
    if len(unasked) < len(model.get_results()):
        for end in unasked:
            model.remove_result(end)


def _check_weights(model: openvino.Model, file: str) -> None:
    """OpenVINO's clamps swallow NaN: what it says afterwards looks like any other answer."""
    for step in model.get_ops():
        if step.get_type_name() != "Constant" or not step.get_element_type().is_real():
            continue
        if not np.isfinite(step.data).all():
            raise BundleError(
                f"{file} holds weights that are no numbers.",
                got=f"NaN or infinity in {step.get_friendly_name()!r}",
                expected="finite numbers",
                remedy="train or export it again: nothing that it says can be trusted",
            )


@cache
def _core() -> openvino.Core:
    try:
        from openvino import Core
    except ImportError as exc:
        raise missing_extra("openvino", "cpu", "The backend 'openvino'") from exc
    return Core()


def _settings(threads: int | None) -> dict[str, object]:
    settings: dict[str, object] = {
        # On a CPU with bfloat16 OpenVINO would use it unasked, and answer differently from
        # every other machine.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if not has_sound_kernels():
        settings["LP_TRANSFORMS_MODE"] = "NO"
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
        # Engines that were given some of the cores would all be pinned to the same ones.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def _by_name(ports: list[openvino.ConstOutput], wanted: set[str]) -> dict[str, Shape]:
    """Ports under the names that the bundle knows them by.

    Where OpenVINO drops a step that does nothing, one port answers to the names on both its sides.
    """
    return {
        name: _shape(port)
        for port in ports
        for name in sorted(wanted & port.get_names()) or [port.any_name]
    }


def _shape(port: openvino.ConstOutput) -> Shape:
    return at_batch_one(
        [None if size.is_dynamic else size.get_length() for size in port.get_partial_shape()]
    )
