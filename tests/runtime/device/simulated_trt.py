"""TensorRT on the simulated GPU: a plan is an ONNX graph, which ONNX Runtime runs in its time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import numpy as np

from runtime.backends.base import Graph
from runtime.backends.engine_cache import EngineCache
from runtime.backends.engine_key import PlanRecord
from runtime.backends.onnxruntime_engine import MISREADS_HALF
from runtime.backends.registry import read_graph
from runtime.backends.trt_flavours import flavour
from runtime.backends.trt_plan import plan_key
from runtime.bundle_files import LoadedBundle
from runtime.host_chain import models_in_use
from runtime.machine import engine_folder
from tests.runtime.backends import trt_fakes
from tests.runtime.device.simulated_gpu import SimulatedGpu

KINDS = {"tensor(float)": ("FLOAT", np.float32), "tensor(float16)": ("HALF", np.float16)}
REPORTED = {"fp32": "FP32", "fp16": "FP16", "int8": "Int8"}


def tensorrt_module(gpu: SimulatedGpu) -> Any:
    module, _ = trt_fakes.library("10.3")
    module.__spec__ = ModuleSpec("tensorrt", None)  # which tells that it is installed
    module.Runtime = lambda logger: SimpleNamespace(
        deserialize_cuda_engine=lambda plan: _Engine(gpu, plan)
    )
    return module


def write_plans(
    bundle: LoadedBundle,
    precision: str | None = None,
    batch: int = 1,
    models: Sequence[str] = (),
) -> None:
    """As `dermedge build` leaves them in the cache."""
    cache = EngineCache(engine_folder())
    for name in models or models_in_use(bundle.spec):
        graph = read_graph(
            "tensorrt", bundle.path, name, bundle.spec.models[name], precision=precision
        )
        outputs = [output.name for output in graph.spec.outputs]
        head = {"precision": graph.precision, "batch": batch, "outputs": outputs}
        content = json.dumps(head).encode() + b"\n" + graph.content
        with cache.locked():
            cache.store(_record(graph, content, batch), content)


def _record(graph: Graph, content: bytes, batch: int) -> PlanRecord:
    return PlanRecord(
        model=graph.name,
        file=graph.file,
        key=plan_key(graph, flavour("tensorrt"), batch),
        plan=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        built=datetime.now(timezone.utc),
        seconds=1.0,
        layers={graph.precision: 1},
        multiplying={},
        checked_on="network",
    )


class _Engine:
    def __init__(self, gpu: SimulatedGpu, plan: bytes) -> None:
        import onnxruntime

        self.gpu = gpu
        head, _, content = plan.partition(b"\n")
        described = json.loads(head)
        self.precision, self.batch = described["precision"], described["batch"]
        self.session = onnxruntime.InferenceSession(
            content, providers=["CPUExecutionProvider"], disabled_optimizers=[MISREADS_HALF]
        )
        ports = (*self.session.get_inputs(), *self.session.get_outputs())
        self.given = [port.name for port in self.session.get_inputs()]
        self.shapes = {
            port.name: (self.batch, *port.shape[1:])
            for port in ports
            if port.name in (*self.given, *described["outputs"])
        }
        self.kinds = {port.name: KINDS[port.type] for port in ports}
        self.names = list(self.shapes)
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Any:
        return SimpleNamespace(name="INPUT" if name in self.given else "OUTPUT")

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.kinds[name][0])

    def create_engine_inspector(self) -> Any:
        told = {"Format/Datatype": f"Row major linear {REPORTED[self.precision]} format"}
        layers = {"Layers": [{"Name": "all", "Inputs": [told]}]}
        return SimpleNamespace(get_engine_information=lambda form: json.dumps(layers))

    def create_execution_context(self) -> Any:
        if not self.gpu.call("create_execution_context"):
            return None
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return self.engine.shapes[name] == tuple(shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address % 256 == 0, "TensorRT wants its tensors aligned"
        self.addresses[name] = address
        return self.engine.gpu.call("set_tensor_address")

    def execute_async_v3(self, handle: int) -> bool:
        if not self.engine.gpu.call("execute_async_v3"):
            return False
        self.engine.gpu.put(handle, self._run)
        return True

    def _run(self) -> None:
        engine = self.engine
        feeds = {name: self._tensor(name).copy() for name in engine.given}
        wanted = [name for name in engine.names if name not in engine.given]
        for name, value in zip(wanted, engine.session.run(wanted, feeds), strict=True):
            self._tensor(name)[...] = value

    def _tensor(self, name: str) -> np.ndarray:
        shape, kind = self.engine.shapes[name], np.dtype(self.engine.kinds[name][1])
        size = kind.itemsize * int(np.prod(shape))
        return self.engine.gpu.view(self.addresses[name], size).view(kind).reshape(shape)
