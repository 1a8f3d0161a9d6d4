"""ONNX Runtime on the CPU: the second opinion, and the engine where OpenVINO has no wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.backends.base import Engine, Floats, Graph, Shape, at_batch_one, first_line
from runtime.errors import BackendError, BundleError, missing_extra
from runtime.machine import cpu

if TYPE_CHECKING:
    from types import ModuleType

MISREADS_HALF = "WeightBiasQuantization"
"""A step of its own that turns biases into integers. Beside 16-bit scales it takes their bytes for
something else, and the answers are wrong by a third (1.31)."""

SILENT = 4  # only fatal messages; errors come as exceptions and are reported once, by us


class OnnxRuntimeEngine(Engine):
    backend = "onnxruntime"

    def _load(self, graph: Graph, threads: int | None) -> None:
        library = _library()
        settings = library.SessionOptions()
        settings.log_severity_level = SILENT
        settings.add_free_dimension_override_by_name("batch", 1)
        # A session whose idle threads spin takes the cores from the next model of the chain.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            settings.intra_op_num_threads = threads
        not_implemented = library.capi.onnxruntime_pybind11_state.NotImplemented
        try:
            self._session = library.InferenceSession(
                graph.content,
                settings,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=[MISREADS_HALF],
            )
        except not_implemented as exc:
            raise BackendError(
                f"ONNX Runtime cannot run {graph.file}.",
                got=first_line(exc),
                remedy="--backend openvino  (pip install 'dermedge[cpu]')",
            ) from exc
        except Exception as exc:
            raise BundleError(
                f"{graph.file} is not a graph that ONNX Runtime can read.",
                got=first_line(exc),
                expected="an ONNX file",
                remedy="export the bundle again",
            ) from exc
        self.device = cpu()[0]
        self.inputs = {item.name: _shape(item) for item in self._session.get_inputs()}
        wanted = {item.name for item in graph.spec.outputs}
        every = {item.name: _shape(item) for item in self._session.get_outputs()}
        self.outputs = {k: v for k, v in every.items() if k in wanted} or every
        # What only other models of the bundle ask of this file is not computed.
        self._asked = library.RunOptions()
        self._asked.only_execute_path_to_fetches = True

    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        names = list(self.outputs)
        return dict(zip(names, self._session.run(names, feeds, self._asked), strict=True))

    def _free(self) -> None:
        del self._session


def _library() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as exc:
        raise missing_extra("onnxruntime", "ort", "The backend 'onnxruntime'") from exc
    module: ModuleType = onnxruntime
    return module


def _shape(item: Any) -> Shape:
    return at_batch_one([size if isinstance(size, int) else None for size in item.shape])
