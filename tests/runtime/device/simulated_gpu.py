"""A GPU that is not there: the driver's calls, on this machine's memory, by its rules.

Nothing happens when it is called for. It happens when somebody waits for it, and then in any order
that streams and events allow, another one each time: what is only right because a GPU happened to
be quick, or slow, is wrong here. Memory is rubbish until it is written to. Kernels are the real
ones, compiled for the CPU; engines are run by ONNX Runtime (simulated_trt.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from runtime.device.kernels import SIGNATURES
from tests.runtime.device import host_kernels

RUBBISH = 0xC7
SUCCESS, REFUSED, INVALIDATED, UNJOINED = 0, 1, 901, 904
Status = IntEnum(
    "Status",
    {
        "CUDA_SUCCESS": SUCCESS,
        "CUDA_ERROR_INVALID_VALUE": REFUSED,
        "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": INVALIDATED,
        "CUDA_ERROR_STREAM_CAPTURE_UNJOINED": UNJOINED,
    },
)
FORBIDDEN = ("mem_alloc", "mem_free", "pagelocked_empty", "synchronize")
"""What invalidates a capture that is under way."""


class DriverError(Exception):
    """As pycuda._driver.LogicError: only known where PyCUDA was imported."""


@dataclass(eq=False)
class Node:
    work: Callable[[], None] | None
    after: set[Node]
    done: bool = False


@dataclass(eq=False)
class Capture:
    nodes: list[Node] = field(default_factory=list)
    streams: set[int] = field(default_factory=set)
    broken: bool = False


class SimulatedGpu:
    """`refuse` names calls that fail from now on; `calls` is what was called, in order."""

    def __init__(self, seed: int = 0, integrated: bool = False) -> None:
        self.random = np.random.default_rng(seed)
        self.integrated = integrated
        self.refuse: set[str] = set()
        self.calls: list[str] = []
        self.memory: dict[int, np.ndarray] = {}
        self.tails: dict[int, Node] = {}
        self.captures: dict[int, Capture] = {}  # by stream
        self.graphs: dict[int, Capture] = {}
        self.executables: dict[int, Capture] = {}
        self.depths = threading.local()
        self.left: list[int] = []  # contexts that were pushed and not popped, by thread
        self._next = 1000

    def number(self) -> int:
        self._next += 1
        return self._next

    # What every call does first

    def call(self, name: str) -> bool:
        """False where it is to fail."""
        self.calls.append(name)
        assert getattr(self.depths, "depth", 0) > 0, f"{name}: no context on this thread"
        if name in FORBIDDEN and self.captures:
            for capture in self.captures.values():
                capture.broken = True
            return False
        return name not in self.refuse

    def demand(self, name: str) -> None:
        if not self.call(name):
            raise DriverError(f"{name} failed: made to")

    # Order

    def put(self, stream: int, work: Callable[[], None] | None, *after: Node) -> Node:
        capture = self.captures.get(stream)
        tail = self.tails.get(stream)
        node = Node(work, {*after, *([tail] if tail else [])})
        self.tails[stream] = node
        if capture is not None:
            capture.nodes.append(node)
        return node

    def finish(self, node: Node | None) -> None:
        """Run that and all it waits for, in some order that is allowed, and nothing else."""
        if node is None:
            return
        todo = _before(node)
        while todo:
            ready = [one for one in todo if not any(other in todo for other in one.after)]
            chosen = ready[int(self.random.integers(len(ready)))]
            if chosen.work is not None:
                chosen.work()
            chosen.done = True
            chosen.after.clear()
            todo.remove(chosen)

    # Memory

    def allocate(self, size: int) -> int:
        room = np.full(size + 512, RUBBISH, np.uint8)
        address = -(-room.ctypes.data // 256) * 256
        self.memory[address] = room
        return address

    def view(self, address: int, size: int) -> np.ndarray:
        """Memory of the GPU's, by its address: it has to be somebody's."""
        for start, room in self.memory.items():
            if start <= address and address + size <= room.ctypes.data + room.size:
                return room[address - room.ctypes.data :][:size]
        raise AssertionError(f"{size} bytes at {address:#x} are nobody's")

    def copy(self, stream: int, to: Callable[[], np.ndarray], what: Callable[[], Any]) -> None:
        def work() -> None:
            to()[...] = what()

        self.put(stream, work)

    # Graphs

    def begin(self, stream: int) -> None:
        self.captures[stream] = Capture(streams={stream})
        self.tails.pop(stream, None)

    def end(self, stream: int) -> tuple[Status, int | None]:
        capture = self.captures[stream]
        origin = self.tails.get(stream)
        for one in capture.streams:
            del self.captures[one]
            self.tails.pop(one, None)
        if capture.broken:
            return Status(INVALIDATED), None
        if (_before(origin) if origin else set()) != set(capture.nodes):
            return Status(UNJOINED), None
        number = self.number()
        self.graphs[number] = capture
        return Status(SUCCESS), number

    def replay(self, capture: Capture, stream: int) -> None:
        tail = self.tails.get(stream)
        start = Node(None, {tail} if tail else set())
        copies: dict[Node, Node] = {}
        for node in capture.nodes:
            copies[node] = Node(node.work, {start, *(copies[one] for one in node.after)})
        self.tails[stream] = Node(None, {start, *copies.values()})


def _before(node: Node) -> set[Node]:
    found: set[Node] = set()
    todo = [node]
    while todo:
        one = todo.pop()
        if one not in found and not one.done:
            found.add(one)
            todo += one.after
    return found


Maker = Callable[..., SimulatedGpu]
"""The fixture `make_gpu`: by a seed, and whether it shares the host's memory."""


# PyCUDA


def pycuda_modules(gpu: SimulatedGpu) -> dict[str, ModuleType]:
    """For sys.modules."""
    top, driver = ModuleType("pycuda"), ModuleType("pycuda.driver")
    top.__spec__ = ModuleSpec("pycuda", None)  # which tells that it is installed
    context = _Context(gpu)
    vars(driver).update(
        init=lambda: None,
        Device=lambda number: SimpleNamespace(retain_primary_context=lambda: context),
        Error=DriverError,
        device_attribute=SimpleNamespace(INTEGRATED="integrated"),
        host_alloc_flags=SimpleNamespace(DEVICEMAP=2),
        event_flags=SimpleNamespace(BLOCKING_SYNC=1, DISABLE_TIMING=2),
        get_driver_version=lambda: 13000,
        mem_alloc=lambda size: _Memory(gpu, size),
        pagelocked_empty=lambda size, kind, order, flags: _pinned(gpu, size),
        Stream=lambda flags: _Stream(gpu),
        Event=lambda flags: _Event(gpu),
        memcpy_htod_async=lambda to, host, stream: _up(gpu, int(to), host, stream),
        memcpy_dtoh_async=lambda host, at, stream: _down(gpu, host, int(at), stream),
        module_from_buffer=lambda image: _Module(gpu),
    )
    return {"pycuda": top, "pycuda.driver": driver}


class _Context:
    def __init__(self, gpu: SimulatedGpu) -> None:
        self.gpu = gpu

    def push(self) -> None:
        self.gpu.depths.depth = getattr(self.gpu.depths, "depth", 0) + 1
        self.gpu.left.append(threading.get_ident())

    def pop(self) -> None:
        self.gpu.depths.depth -= 1
        self.gpu.left.remove(threading.get_ident())

    def get_device(self) -> Any:
        return SimpleNamespace(
            get_attribute=lambda attribute: int(self.gpu.integrated),
            compute_capability=lambda: (8, 6),
            name=lambda: "Orin",
        )


class _Memory:
    def __init__(self, gpu: SimulatedGpu, size: int) -> None:
        gpu.demand("mem_alloc")
        self.gpu, self.address = gpu, gpu.allocate(size)

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        self.gpu.demand("mem_free")
        self.gpu.memory.pop(self.address).fill(RUBBISH)


def _pinned(gpu: SimulatedGpu, size: int) -> np.ndarray:
    gpu.demand("pagelocked_empty")
    return np.asarray(_Owner(gpu, gpu.allocate(size), size))


class _Owner:
    """What PyCUDA gives an array as its base."""

    def __init__(self, gpu: SimulatedGpu, address: int, size: int) -> None:
        self.gpu, self.address = gpu, address
        self.room = gpu.memory[address]
        if not gpu.integrated:
            del gpu.memory[address]  # the host's alone
        self.__array_interface__ = {
            "version": 3, "shape": (size,), "typestr": "|u1", "data": (address, False),
        }  # fmt: skip

    def get_device_pointer(self) -> int:
        self.gpu.demand("get_device_pointer")
        return self.address


class _Stream:
    def __init__(self, gpu: SimulatedGpu) -> None:
        gpu.demand("Stream")
        self.gpu, self.handle = gpu, gpu.number()

    def synchronize(self) -> None:
        self.gpu.demand("synchronize")
        self.gpu.finish(self.gpu.tails.get(self.handle))

    def wait_for_event(self, event: _Event) -> None:
        self.gpu.demand("wait_for_event")
        gpu = self.gpu
        if event.capture is not None and event.capture in gpu.captures.values():
            if gpu.captures.get(self.handle) is not event.capture:
                gpu.captures[self.handle] = event.capture  # and so it is captured as well
                event.capture.streams.add(self.handle)
                gpu.tails.pop(self.handle, None)
        elif self.handle in gpu.captures and event.node is not None:
            gpu.captures[self.handle].broken = True
            raise DriverError("dependency created on uncaptured work in another stream")
        gpu.put(self.handle, None, *([event.node] if event.node else []))


class _Event:
    def __init__(self, gpu: SimulatedGpu) -> None:
        gpu.demand("Event")
        self.gpu = gpu
        self.node: Node | None = None
        self.capture: Capture | None = None
        self.at = 0

    def record(self, stream: _Stream) -> None:
        self.gpu.demand("record")
        self.node = self.gpu.tails.get(stream.handle)
        self.capture = self.gpu.captures.get(stream.handle)
        self.at = len(self.gpu.calls)

    def synchronize(self) -> None:
        self.gpu.demand("synchronize")
        self.gpu.finish(self.node)

    def time_till(self, other: _Event) -> float:
        return float(other.at > self.at)


def _up(gpu: SimulatedGpu, to: int, host: np.ndarray, stream: _Stream) -> None:
    gpu.demand("memcpy_htod_async")
    gpu.copy(stream.handle, lambda: gpu.view(to, host.nbytes), lambda: host.view(np.uint8).ravel())


def _down(gpu: SimulatedGpu, host: np.ndarray, at: int, stream: _Stream) -> None:
    gpu.demand("memcpy_dtoh_async")
    gpu.copy(stream.handle, lambda: host.view(np.uint8).ravel(), lambda: gpu.view(at, host.nbytes))


class _Module:
    def __init__(self, gpu: SimulatedGpu) -> None:
        gpu.demand("module_from_buffer")
        self.gpu = gpu

    def get_function(self, name: str) -> Any:
        self.gpu.demand("get_function")
        return _Function(self.gpu, name)


class _Function:
    def __init__(self, gpu: SimulatedGpu, name: str) -> None:
        self.gpu, self.name = gpu, name

    def prepare(self, types: str) -> None:
        assert types == SIGNATURES[self.name]

    def prepared_async_call(
        self, grid: tuple[int, ...], block: tuple[int, ...], stream: _Stream, *given: float
    ) -> None:
        gpu, name = self.gpu, self.name
        gpu.demand("launch")
        seed = int(gpu.random.integers(1 << 30))
        gpu.put(stream.handle, lambda: host_kernels.launch(name, grid, block[0], given, seed))


# NVIDIA's own bindings


def bindings_module(gpu: SimulatedGpu) -> ModuleType:
    module = ModuleType("cuda.bindings.driver")

    def begin(stream: int, mode: Any) -> tuple[Status]:
        if not gpu.call("cuStreamBeginCapture"):
            return (Status(REFUSED),)
        gpu.begin(stream)
        return (Status(SUCCESS),)

    def end(stream: int) -> tuple[Status, int | None]:
        refused = not gpu.call("cuStreamEndCapture")
        status, graph = gpu.end(stream)
        if not refused:
            return status, graph
        gpu.graphs.pop(graph or 0, None)
        return Status(REFUSED), None

    def instantiate(graph: int, flags: int) -> tuple[Status, int | None]:
        if not gpu.call("cuGraphInstantiate"):
            return Status(REFUSED), None
        number = gpu.number()
        gpu.executables[number] = gpu.graphs[graph]
        return Status(SUCCESS), number

    def launched(graph: int, stream: int) -> tuple[Status]:
        if not gpu.call("cuGraphLaunch"):
            return (Status(REFUSED),)
        gpu.replay(gpu.executables[graph], stream)
        return (Status(SUCCESS),)

    def destroyed(kept: dict[int, Capture]) -> Callable[[int], tuple[Status]]:
        def destroy(number: int) -> tuple[Status]:
            gpu.call("destroy")
            del kept[number]
            return (Status(SUCCESS),)

        return destroy

    vars(module).update(
        CUresult=Status,
        CUstream=int,
        CUstreamCaptureMode=SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
        cuStreamBeginCapture=begin,
        cuStreamEndCapture=end,
        cuGraphInstantiate=instantiate,
        cuGraphLaunch=launched,
        cuGraphDestroy=destroyed(gpu.graphs),
        cuGraphExecDestroy=destroyed(gpu.executables),
    )
    return module
