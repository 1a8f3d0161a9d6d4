"""The CUDA driver, as far as a chain needs it, with every status looked at.

PyCUDA has the context, memory, streams, events and modules, and raises where a call fails. It has
no graphs: those are captured on its streams by NVIDIA's own bindings, whose calls give a status
back instead. Both are imported here and nowhere else, and only when a GPU is opened.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runtime.backends.base import first_line
from runtime.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

Bytes = npt.NDArray[np.uint8]

NO_MEMORY = "end what else uses the GPU; dermedge doctor says how much memory there is"
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: what others put on the default stream is not waited for
RESTART = "start again; if it comes back, run dermedge doctor and look into the system's log"


class CudaError(BackendError):
    """A call of the driver that failed."""


class Cuda:
    """The device's primary context, which TensorRT uses too. Wrap all work in `current()`."""

    def __init__(self) -> None:
        self._driver, self.context = open_driver()
        with self.current():
            device = self.context.get_device()
            attribute = self._driver.device_attribute
            self.integrated = bool(device.get_attribute(attribute.INTEGRATED))
            self.capability = tuple(device.compute_capability())
            self.name = str(device.name())
            self.driver_version = str(self._driver.get_driver_version())

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context on this thread: each thread has a stack of its own, and leaves it empty."""
        self.context.push()
        try:
            yield
        finally:
            self.context.pop()

    # Memory

    def allocate(self, size: int) -> Any:
        """Device memory. `int()` of it is its address; `free()` gives it back."""
        with _checked(f"to allocate {size / 2**20:.0f} MiB on the GPU", NO_MEMORY):
            return self._driver.mem_alloc(max(size, 1))

    def pinned(self, size: int) -> Bytes:
        """Host memory that the GPU copies from and to by itself."""
        flags = self._driver.host_alloc_flags.DEVICEMAP
        with _checked(f"to pin {size / 2**20:.0f} MiB of the host's memory", NO_MEMORY):
            return np.asarray(self._driver.pagelocked_empty(max(size, 1), np.uint8, "C", flags))

    def mapped(self, pinned: Bytes) -> int:
        """Where kernels find pinned memory: without a copy, where GPU and host share it."""
        with _checked("to map pinned memory"):
            return int(pinned.base.get_device_pointer())  # type: ignore[union-attr]

    def free_memory(self) -> int:
        """Bytes that nobody has asked the GPU for."""
        with _checked("to say how much memory it has"):
            return int(self._driver.mem_get_info()[0])

    def upload(self, address: int, host: Bytes, stream: Any) -> None:
        with _checked("to copy to the GPU"):
            self._driver.memcpy_htod_async(address, host, stream)

    def download(self, host: Bytes, address: int, stream: Any) -> None:
        with _checked("to copy from the GPU"):
            self._driver.memcpy_dtoh_async(host, address, stream)

    # Order

    def stream(self) -> Any:
        with _checked("to make a stream"):
            return self._driver.Stream(NON_BLOCKING)

    def event(self) -> Any:
        """To order streams by."""
        return self._event(self._driver.event_flags.DISABLE_TIMING)

    def clock_event(self) -> Any:
        """To read the GPU's clock by, and to wait for without keeping a core busy meanwhile."""
        return self._event(self._driver.event_flags.BLOCKING_SYNC)

    def _event(self, flags: int) -> Any:
        with _checked("to make an event"):
            return self._driver.Event(flags)

    def record(self, event: Any, stream: Any) -> None:
        with _checked("to record an event"):
            event.record(stream)

    def between(self, one: Any, other: Any) -> float:
        """Milliseconds by the GPU's own clock, of two events that are over."""
        with _checked("to read its clock"):
            return float(one.time_till(other))

    def wait(self, stream: Any, event: Any) -> None:
        """What comes on the stream from now on happens after the event."""
        with _checked("to have a stream wait"):
            stream.wait_for_event(event)

    def synchronize(self, work: Any) -> None:
        """Of a stream or an event. Where what failed on the GPU becomes known."""
        with _checked("to finish its work", RESTART):
            work.synchronize()

    # Kernels

    def load(self, image: bytes, origin: Path) -> Any:
        with _checked(
            f"the kernels of {origin}", "remove that file, and have nvcc on PATH: dermedge doctor"
        ):
            return self._driver.module_from_buffer(image)

    def kernel(self, module: Any, name: str, types: str) -> Any:
        with _checked(f"the kernel {name}"):
            function = module.get_function(name)
            function.prepare(types)
        return function

    def launch(
        self, kernel: Any, grid: Sequence[int], block: int, stream: Any, *given: Any
    ) -> None:
        with _checked("to launch a kernel"):
            kernel.prepared_async_call(tuple(grid), (block, 1, 1), stream, *given)

    # Graphs

    @cached_property
    def _graphs(self) -> Any:
        return _bindings()

    @contextmanager
    def capturing(self, stream: Any) -> Iterator[list[Any]]:
        """What is put on the stream meanwhile becomes a graph: the list's one item, at the end.

        Nothing may be freed meanwhile, so the collector waits. A capture that fails is ended as
        well, or the stream would be of no more use.
        """
        graphs = self._graphs
        handle = graphs.CUstream(int(stream.handle))
        mode = graphs.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        captured: list[Any] = []
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._call("to begin a capture", graphs.cuStreamBeginCapture, handle, mode)
            try:
                yield captured
            except BaseException:
                with suppress(CudaError):  # what went wrong first is what is told
                    self._drop(self._call("to end a capture", graphs.cuStreamEndCapture, handle))
                raise
            graph = self._call("to end a capture", graphs.cuStreamEndCapture, handle)
        finally:
            if collecting:
                gc.enable()
        try:
            made = self._call("to make a graph", graphs.cuGraphInstantiate, graph, 0)
        finally:
            self._drop(graph)
        captured.append(made)

    def start(self, graph: Any, stream: Any) -> None:
        handle = self._graphs.CUstream(int(stream.handle))
        self._call("to launch a graph", self._graphs.cuGraphLaunch, graph, handle)

    def forget(self, graph: Any) -> None:
        self._call("to let go of a graph", self._graphs.cuGraphExecDestroy, graph)

    def _drop(self, graph: Any) -> None:
        self._call("to let go of a capture", self._graphs.cuGraphDestroy, graph)

    def _call(self, what: str, function: Any, *given: Any) -> Any:
        """A call of the bindings: it gives a status and a value, or raises where a library is
        missing that it would call."""
        with _checked(what):
            status, *values = function(*given)
        if status != self._graphs.CUresult.CUDA_SUCCESS:
            name = getattr(status, "name", str(status))
            raise CudaError(f"The GPU's driver refused {what}.", got=name, remedy=RESTART)
        return values[0] if values else None


def open_driver() -> tuple[Any, Any]:
    """PyCUDA's driver module, and the primary context of device 0, on no thread's stack yet.

    (pycuda.autoprimaryctx would leave it on that of the thread which happens to be first, and
    PyCUDA ends the process when a thread goes with a context on its stack.)
    """
    try:
        driver = import_module("pycuda.driver")
        driver.init()
        context = driver.Device(0).retain_primary_context()
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


def _bindings() -> Any:
    try:
        return import_module("cuda.bindings.driver")
    except ImportError as exc:
        raise BackendError(
            "Graphs on a GPU need 'cuda-bindings', which cannot be imported.",
            got=first_line(exc),
            remedy="pip install 'dermedge[tensorrt]'",
        ) from exc


@contextmanager
def _checked(what: str, remedy: str = RESTART) -> Iterator[None]:
    """PyCUDA's own errors, of any class, as one of ours."""
    try:
        yield
    except BackendError:
        raise
    except Exception as exc:
        raise CudaError(
            f"The GPU's driver refused {what}.", got=first_line(exc), remedy=remedy
        ) from exc
