"""What the driver or a library refuses: at the start the next way is taken, later it is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.backends.trt_flavours import Flavour
from runtime.bundle_files import LoadedBundle
from runtime.errors import BackendError, UsageError
from tests.bundle_factory import make_bundle, picture
from tests.runtime.device.simulated_gpu import SimulatedGpu
from tests.runtime.device.test_device_chain import FRAMES, on_device, on_host, same

pytest.importorskip("onnxruntime")


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return make_bundle(tmp_path / "bundle")


CAPTURING = ("cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch")


@pytest.mark.parametrize("call", CAPTURING)
def test_what_cannot_be_captured_is_done_call_by_call(
    gpu: SimulatedGpu, bundle: LoadedBundle, call: str
) -> None:
    gpu.refuse.add(call)
    with on_device(bundle) as chain:
        assert chain.backend.mode == "enqueue"
        (why,) = chain.launcher.why
        assert why.startswith("graph: ")
        assert "CUDA_ERROR_INVALID_VALUE" in why
        for frame in FRAMES:
            same(chain.analyse(frame), on_host(bundle, frame))
    assert gpu.memory == {}
    assert gpu.executables == gpu.graphs == {}


def test_engines_that_cannot_run_beside_others_run_in_line(
    gpu: SimulatedGpu, bundle: LoadedBundle
) -> None:
    gpu.refuse.add("wait_for_event")
    with on_device(bundle) as chain:
        assert chain.backend.mode == "staged"
        assert [why.partition(":")[0] for why in chain.launcher.why] == ["graph", "enqueue"]
        analysis = chain.analyse(FRAMES[0])
        same(analysis, on_host(bundle, FRAMES[0]))
        stages = ["segment", "crop", "classify", "combine", "total"]
        assert list(analysis.result.timing_ms) == stages


NEEDED = (
    "Stream", "Event", "mem_alloc", "pagelocked_empty", "module_from_buffer", "get_function",
    "create_execution_context", "set_tensor_address", "execute_async_v3", "memcpy_htod_async",
    "memcpy_dtoh_async", "launch", "synchronize",
)  # fmt: skip


@pytest.mark.parametrize("call", NEEDED)
def test_what_is_refused_at_the_start_is_said(
    gpu: SimulatedGpu, bundle: LoadedBundle, call: str
) -> None:
    gpu.refuse.add(call)
    with pytest.raises(BackendError) as caught, on_device(bundle):
        pass
    assert caught.value.remedy


@pytest.mark.parametrize(
    "call", ["memcpy_htod_async", "cuGraphLaunch", "synchronize", "mem_alloc", "pagelocked_empty"]
)
def test_what_is_refused_later_is_the_frames_failure(
    gpu: SimulatedGpu, bundle: LoadedBundle, call: str
) -> None:
    large = picture(400, 500)  # larger than any before
    with on_device(bundle) as chain:
        gpu.refuse.add(call)
        result = chain.process(large)
        assert result.status == "error"
        assert "refused" in (result.reason or "")
        assert result.probabilities == {}
        gpu.refuse.clear()
        same(chain.analyse(large), on_host(bundle, large))


@pytest.mark.parametrize("call", ["execute_async_v3", "launch", "record", "memcpy_dtoh_async"])
def test_what_is_refused_halfway_leaves_nothing_behind(
    gpu: SimulatedGpu, bundle: LoadedBundle, call: str
) -> None:
    with on_device(bundle, ("enqueue",)) as chain:
        gpu.refuse.add(call)
        assert chain.process(FRAMES[0]).status == "error"
        gpu.refuse.clear()
        same(chain.analyse(FRAMES[1]), on_host(bundle, FRAMES[1]))


def test_bindings_that_raise_cost_the_graph_only(
    gpu: SimulatedGpu, bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.device import driver

    def raising(*given: object) -> None:
        raise RuntimeError("libcuda has no cuGraphInstantiate")

    bindings = driver._bindings()
    monkeypatch.setattr(bindings, "cuGraphInstantiate", raising)
    with on_device(bundle) as chain:
        assert chain.backend.mode == "enqueue"
        assert "libcuda has no" in chain.launcher.why[0]
        same(chain.analyse(FRAMES[0]), on_host(bundle, FRAMES[0]))


def test_a_library_that_knows_it_cannot_be_captured_is_believed(
    gpu: SimulatedGpu, bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flavour, "capturable", lambda *given: False)
    with on_device(bundle) as chain:
        assert chain.backend.mode == "enqueue"
        assert "part of a graph" in chain.launcher.why[0]
        assert "cuStreamBeginCapture" not in gpu.calls


def test_a_frame_that_is_too_large_is_alone_in_that(
    gpu: SimulatedGpu, bundle: LoadedBundle
) -> None:
    frames = [FRAMES[0], np.zeros((2, 70_000, 3), np.uint8), FRAMES[1]]
    with on_device(bundle, batch=3) as chain:
        one, large, other = chain.analyse_batch(frames, [{}] * 3)
    assert "too large" in (large.result.reason or "")
    same(one, on_host(bundle, FRAMES[0]))
    same(other, on_host(bundle, FRAMES[1]))


def test_what_is_under_way_is_not_written_over(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    with on_device(bundle) as chain:
        chain.hand_over([FRAMES[0]], [None])
        with pytest.raises(UsageError, match="waited for"):
            chain.hand_over([FRAMES[1]], [None])
        chain.wait()
        chain.hand_over([FRAMES[1]], [None])
        chain.wait()
