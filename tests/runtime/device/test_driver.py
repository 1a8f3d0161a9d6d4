"""Every call of the driver that can fail, and what becomes of it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest

from runtime.device import driver
from runtime.device.driver import Cuda, CudaError
from runtime.errors import BackendError
from tests.runtime.device.simulated_gpu import SimulatedGpu

GRAPHS = (
    "cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch",
    "cuGraphExecDestroy", "cuGraphDestroy",
)  # fmt: skip


def test_nvidias_bindings_have_what_is_called() -> None:
    bindings = pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    for name in GRAPHS:
        assert callable(getattr(bindings, name)), name
    assert int(bindings.CUstream(7)) == 7
    assert bindings.CUresult.CUDA_SUCCESS == 0
    assert bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL == 1


def captured(cuda: Cuda, stream: Any, work: Callable[[], object]) -> Any:
    with cuda.capturing(stream) as found:
        work()
    return found[0]


def fail() -> None:
    assert not gc.isenabled()  # what it frees would end the capture
    raise ZeroDivisionError


def test_a_capture_is_ended_whatever_happens_in_it(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    with cuda.current():
        stream = cuda.stream()
        with pytest.raises(ZeroDivisionError):
            captured(cuda, stream, fail)
        assert gc.isenabled()
        assert gpu.captures == gpu.graphs == {}
        graph = captured(cuda, stream, lambda: None)
        cuda.start(graph, stream)
        cuda.forget(graph)
        assert gpu.graphs == gpu.executables == {}


def test_what_no_capture_allows_ends_it(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    with cuda.current():
        stream = cuda.stream()
        with pytest.raises(CudaError, match="allocate"):
            captured(cuda, stream, lambda: cuda.allocate(100))
        assert gpu.captures == {}
        captured(cuda, stream, lambda: cuda.record(cuda.event(), stream))


def test_a_stream_that_was_not_joined_is_refused(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    with cuda.current():
        main, side = cuda.stream(), cuda.stream()
        event, memory, host = cuda.event(), cuda.allocate(16), cuda.pinned(16)

        def part() -> None:
            cuda.record(event, main)
            cuda.wait(side, event)
            cuda.upload(int(memory), host, side)

        with pytest.raises(CudaError) as caught:
            captured(cuda, main, part)
        assert "UNJOINED" in str(caught.value.got)


def test_no_call_is_made_without_a_context(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            cuda.stream()
        except BaseException as error:  # the simulation's own refusal
            failures.append(error)
        with cuda.current():
            cuda.stream()

    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(failures) == 1
    assert "no context" in str(failures[0]) + str(getattr(failures[0], "got", ""))


def test_errors_are_ours_and_name_a_remedy(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    gpu.refuse |= {"mem_alloc", "pagelocked_empty", "Stream", "module_from_buffer"}
    with cuda.current():
        for call, remedy in (
            (lambda: cuda.allocate(1 << 30), "uses the GPU"),
            (lambda: cuda.pinned(1 << 30), "uses the GPU"),
            (cuda.stream, "doctor"),
        ):
            with pytest.raises(CudaError) as caught:
                call()
            assert remedy in str(caught.value.remedy)
            assert caught.value.got


def test_memory_comes_back_as_it_went(gpu: SimulatedGpu) -> None:
    cuda = Cuda()
    with cuda.current():
        stream, memory = cuda.stream(), cuda.allocate(1000)
        one, other = cuda.pinned(1000), cuda.pinned(1000)
        one[...] = np.arange(1000) % 256
        cuda.upload(int(memory), one, stream)
        cuda.download(other, int(memory), stream)
        assert not (other == one).all()  # nothing happens before somebody waits
        cuda.synchronize(stream)
        np.testing.assert_array_equal(other, one)


def test_pycuda_that_is_missing_or_finds_no_driver_says_so(
    gpu: SimulatedGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(BackendError, match="pycuda") as caught:
        Cuda()
    assert "dermedge[tensorrt]" in str(caught.value.remedy)

    def broken(name: str) -> None:
        raise RuntimeError("cuInit failed: no CUDA-capable device is detected")

    monkeypatch.setattr(driver, "import_module", broken)
    with pytest.raises(BackendError, match="no access to a GPU") as caught:
        Cuda()
    assert "no CUDA-capable device" in str(caught.value.got)


def test_bindings_that_are_missing_cost_the_graph_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(driver, "import_module", missing)
    with pytest.raises(BackendError, match="cuda-bindings"):
        driver._bindings()
