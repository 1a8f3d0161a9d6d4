"""Engines on an NVIDIA GPU: plans of `dermedge build`, PyCUDA's memory and streams.

Nothing is compiled here. A plan is taken from the cache or refused; what it says of its layers is
compared with what was asked for as soon as a GPU has loaded it. Everything is allocated when the
engine is opened, and every status is checked: a call that says False has computed nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.backends.base import Engine, Floats, Graph, Shape, at_batch_one, first_line
from runtime.backends.trt_flavours import Flavour, flavour
from runtime.errors import BackendError

if TYPE_CHECKING:
    from runtime.backends.engine_key import EngineKey, PlanRecord

REBUILD = "dermedge build --force  (with the same --bundle and --backend)"
EVENTS = ("start", "h2d", "compute", "d2h")


class TensorRtEngine(Engine):
    backend = "tensorrt"
    timed_with = {"graph": False, "transfers": True, "spin_wait": False}
    """How `run_timed` measures. trtexec's own defaults changed, so figures say what theirs are."""

    def _load(self, graph: Graph, threads: int | None) -> None:
        from runtime.backends.engine_cache import EngineCache
        from runtime.machine import engine_folder

        library = flavour(self.backend)
        key = _key(graph, library)
        plan, record = EngineCache(engine_folder()).load(graph.name, key, library.portable)
        if record.key.settings.ranges is not None:
            self.precision = "int8"  # on DLA, from a float file and its ranges
        self._library = library
        self._log: list[str] = []
        self._logger = library.logger(self._note)
        self._cuda, self._context = _open_cuda()
        with self._current():
            self._runtime = library.module.Runtime(self._logger)
            if record.key.settings.dla is not None:
                self._runtime.DLA_core = record.key.settings.dla
            self._engine = library.deserialise(self._runtime, plan)
            self._check_precision(graph, record)
            self._prepare()
        self.device = key.home.gpu

    def _note(self, severity: str, text: str) -> None:
        if severity in ("ERROR", "INTERNAL_ERROR"):
            self._log = [*self._log[-4:], text]

    def _check_precision(self, graph: Graph, record: PlanRecord) -> None:
        from runtime.backends.layer_precision import check_engine, inspected

        if record.key.settings.dla is None:
            built = inspected(self._library.inspect(self._engine))
            check_engine(graph.file, graph.precision, record.multiplying, built)

    def _prepare(self) -> None:
        """Memory on both sides for every tensor, for the one shape that there is."""
        cuda, library = self._cuda, self._library
        self._run_context = _made(self._engine.create_execution_context(), "a context")
        self._stream = cuda.Stream()
        self.inputs, self.outputs = {}, {}
        self._host: dict[str, Any] = {}
        self._memory: dict[str, Any] = {}
        for tensor in library.tensors(self._engine):
            shape = at_batch_one([None if size < 0 else size for size in tensor.shape])
            self._allocate(tensor.name, tensor.kind, shape)
            (self.inputs if tensor.is_input else self.outputs)[tensor.name] = shape
        for name, shape in self.inputs.items():
            if not library.fix_shape(self._run_context, self._engine, name, shape):
                raise self._refusal(f"the shape of '{name}'")
        self._addresses = {name: int(memory) for name, memory in self._memory.items()}
        if not library.bind(self._run_context, self._addresses):
            raise self._refusal("the addresses of its inputs and outputs")

    def _allocate(self, name: str, kind: str, shape: Shape) -> None:
        if kind != "FLOAT" or any(size < 1 for size in shape):
            raise BackendError(
                f"The engine of '{self.name}' has a tensor that the chain cannot use.",
                got=f"'{name}': {kind} {shape}",
                expected="float32, of a fixed shape",
                remedy="export the bundle again",
            )
        self._host[name] = self._cuda.pagelocked_empty(shape, np.float32)
        self._memory[name] = self._cuda.mem_alloc(int(self._host[name].nbytes))

    def _run(self, feeds: dict[str, Floats]) -> dict[str, Floats]:
        self._stage(feeds)
        with self._current():
            self._upload()
            self._enqueue()
            self._download()
            self._stream.synchronize()
        return {name: np.array(self._host[name]) for name in self.outputs}

    def run_timed(self, feeds: dict[str, Floats]) -> dict[str, float]:
        """A run by the GPU's own clock: milliseconds of the way up, the network, the way down.

        `enqMs` is the host's, and no part of the latency. Nor is staging: the first mark is made
        when all that goes up lies ready.
        """
        self._stage(feeds)
        with self._current():
            marks = {name: self._cuda.Event() for name in EVENTS}
            marks["start"].record(self._stream)
            self._upload()
            marks["h2d"].record(self._stream)
            began = perf_counter()
            self._enqueue()
            enqueued = perf_counter()
            marks["compute"].record(self._stream)
            self._download()
            marks["d2h"].record(self._stream)
            marks["d2h"].synchronize()
            times = {
                after: float(marks[before].time_till(marks[after]))
                for before, after in (("start", "h2d"), ("h2d", "compute"), ("compute", "d2h"))
            }
        return {
            **{f"{name}Ms": ms for name, ms in times.items()},
            "enqMs": (enqueued - began) * 1e3,
        }

    def _stage(self, feeds: dict[str, Floats]) -> None:
        """Into memory that the GPU may read by itself. The run before has been waited for."""
        for name, array in feeds.items():
            np.copyto(self._host[name], array)

    def _upload(self) -> None:
        for name in self.inputs:
            self._cuda.memcpy_htod_async(self._memory[name], self._host[name], self._stream)

    def _enqueue(self) -> None:
        library, stream = self._library, int(self._stream.handle)
        if not library.enqueue(self._run_context, self._engine, self._addresses, stream):
            raise self._refusal("to run")

    def _download(self) -> None:
        for name in self.outputs:
            self._cuda.memcpy_dtoh_async(self._host[name], self._memory[name], self._stream)

    def _refusal(self, what: str) -> BackendError:
        return BackendError(
            f"{self._library.title} refused {what}, for '{self.name}'.",
            got=self._log[-1] if self._log else "no reason was given",
            remedy=REBUILD,
        )

    @contextmanager
    def _current(self) -> Iterator[None]:
        """The GPU's context on this thread: a scan's engines run on threads of its pool."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def _free(self) -> None:
        with self._current():
            for memory in self._memory.values():
                memory.free()
            # In this order: each of them needs the next one to go.
            del self._run_context, self._engine, self._runtime
            del self._memory, self._host, self._stream


class TensorRtRtxEngine(TensorRtEngine):
    backend = "tensorrt_rtx"


def _key(graph: Graph, library: Flavour) -> EngineKey:
    from hashlib import sha256

    from runtime.backends.engine_key import EngineKey, this_home

    return EngineKey.model_validate(
        {
            "onnx": sha256(graph.content).hexdigest(),
            "precision": graph.precision,
            "flavour": library.name,
            "version": library.version,
            "home": this_home(),
            "outputs": [output.name for output in graph.spec.outputs],
        }
    )


def _open_cuda() -> tuple[Any, Any]:
    """PyCUDA's driver module and the device's primary context, which other libraries use too."""
    try:
        context = import_module("pycuda.autoprimaryctx").context
        driver = import_module("pycuda.driver")
    except ImportError as exc:
        raise BackendError(
            "Engines on a GPU need 'pycuda', which cannot be imported.",
            got=first_line(exc),
            remedy="pip install 'dermedge[tensorrt]'",
        ) from exc
    except Exception as exc:  # pycuda._driver.Error, which only exists where it was imported
        raise BackendError(
            "The NVIDIA driver gives no access to a GPU.",
            got=first_line(exc),
            expected="a GPU that this user may use",
            remedy="dermedge doctor, or --backend auto to run on what there is",
        ) from exc
    return driver, context


def _made(thing: Any, what: str) -> Any:
    if thing is None:
        raise BackendError(
            f"TensorRT could not make {what}.",
            expected="enough free memory on the GPU",
            remedy="end what else uses the GPU; dermedge doctor says how much memory there is",
        )
    return thing
