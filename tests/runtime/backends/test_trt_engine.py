"""What the engine does with memory, streams and statuses, on stand-ins for the GPU's libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.backends import registry, trt_plan
from runtime.backends.base import Graph
from runtime.backends.engine_cache import EngineCache
from runtime.backends.engine_key import BuildSettings, PlanRecord
from runtime.backends.trt_engine import TensorRtEngine
from runtime.backends.trt_flavours import Flavour, flavour
from runtime.errors import BackendError, DermedgeError
from runtime.machine import engine_folder
from tests.runtime.backends import trt_fakes
from tests.runtime.backends.test_engines import written
from tests.runtime.backends.trt_fakes import GENERATIONS, library, plan
from tests.runtime.device.simulated_gpu import SimulatedGpu

ONNX = b"a graph"
Opener = Callable[..., TensorRtEngine]


@pytest.fixture
def open_engine(gpu: SimulatedGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Opens an engine of one generation, whose plan lies in the cache as if built before."""

    def opened(
        generation: str = "10.3",
        kind: str = "HALF",
        asked: str = "fp16",
        settings: BuildSettings | None = None,
    ) -> TensorRtEngine:
        module, _ = library(generation)
        monkeypatch.setattr(trt_fakes, "put", gpu.put)
        monkeypatch.setattr(trt_plan, "flavour", lambda name: Flavour(name, module))
        graph = Graph("m", "models/m.onnx", asked, ONNX, written(tmp_path, ONNX), 2)
        content = plan(kind)
        key = trt_plan.plan_key(graph, Flavour("tensorrt", module), 1)
        record = PlanRecord(
            model="m",
            file="models/m.onnx",
            key=key.model_copy(update={"settings": settings or BuildSettings()}),
            plan=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            built=datetime.now(timezone.utc),
            seconds=1.0,
            layers={asked: 1},
            multiplying={"conv": asked},
            checked_on="network",
        )
        cache = EngineCache(engine_folder())
        with cache.locked():
            cache.store(record, content)
        return TensorRtEngine(graph, None)

    return opened


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_engine_runs_and_lets_go(
    open_engine: Opener, gpu: SimulatedGpu, generation: str
) -> None:
    with open_engine(generation) as engine:
        assert engine.inputs == {"image": (1, 4)}  # its open batch is one
        assert engine.outputs == {"logits": (1, 4)}
        assert engine.device == "Orin"
        feed = np.arange(4, dtype=np.float32)[None]
        first = engine.run({"image": feed})["logits"]
        again = engine.run({"image": feed + 1})["logits"]
    np.testing.assert_array_equal(first, feed * 2)  # the second run has not written over it
    np.testing.assert_array_equal(again, feed * 2 + 2)
    assert gpu.memory == {}
    with pytest.raises(DermedgeError, match="closed"):
        engine.run({"image": feed})


def test_older_releases_are_given_bindings_at_each_run() -> None:
    module, _ = library("8.6")
    older = Flavour("tensorrt", module)
    engine = trt_fakes.engine("8.5")
    context = engine.create_execution_context()
    source, target = np.full(4, 3, np.float32), np.zeros(4, np.float32)
    addresses = {"logits": target.ctypes.data, "image": source.ctypes.data}
    assert [tensor.name for tensor in older.tensors(engine)] == ["image", "logits"]
    assert older.fix_shape(context, engine, "image", (1, 4))
    assert older.bind(context, addresses)
    assert older.enqueue(context, engine, addresses, stream=7)
    np.testing.assert_array_equal(target, np.full(4, 6, np.float32))


def test_times_are_of_the_gpus_clock(open_engine: Opener) -> None:
    with open_engine() as engine:
        times = engine.run_timed({"image": np.zeros((1, 4), np.float32)})
        assert times.pop("enqMs") >= 0  # the host's clock
        assert times == {"h2dMs": 1.0, "computeMs": 1.0, "d2hMs": 1.0}
        assert engine.timed_with.keys() == {"graph", "transfers", "spin_wait"}


def test_staging_is_no_part_of_the_way_up(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = np.arange(4, dtype=np.float32)[None] + 1
    order: list[str] = []
    with open_engine() as engine:
        cuda = engine._cuda
        record, upload = cuda.record, cuda.upload

        def recorded(event: Any, stream: Any) -> None:
            order.append("staged" if (engine._host["image"] == feed).all() else "not staged")
            record(event, stream)

        def uploaded(*given: Any) -> None:
            order.append("copied")
            upload(*given)

        monkeypatch.setattr(cuda, "record", recorded)
        monkeypatch.setattr(cuda, "upload", uploaded)
        engine._host["image"][:] = 0
        engine.run_timed({"image": feed})
    assert order == ["staged", "copied", "staged", "staged", "staged"]


def test_an_engine_for_dla_is_found_and_says_what_it_computes_in(open_engine: Opener) -> None:
    with open_engine(settings=BuildSettings(dla=1)) as engine:
        assert (engine._plan._runtime.DLA_core, engine.precision) == (1, "fp16")
    with open_engine(settings=BuildSettings(dla=0, ranges="0" * 64)) as engine:
        assert (engine._plan._runtime.DLA_core, engine.precision) == (0, "int8")


@pytest.mark.parametrize("call", ["set_input_shape", "set_tensor_address", "execute_async_v3"])
def test_a_call_that_says_no_is_not_passed_over(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    made = trt_fakes.context

    def refusing(*arguments: Any) -> Any:
        context = made(*arguments)
        context._has[call] = lambda *given: False
        return context

    monkeypatch.setattr(trt_fakes, "context", refusing)
    with pytest.raises(BackendError, match="refused"), open_engine() as engine:
        engine.run({"image": np.zeros((1, 4), np.float32)})


def test_an_engine_in_another_precision_than_its_file_is_refused(open_engine: Opener) -> None:
    with pytest.raises(BackendError, match="another precision"):
        open_engine(kind="FLOAT", asked="fp16")
    with pytest.raises(BackendError, match="another precision"):
        open_engine(kind="HALF", asked="fp32")
    open_engine(kind="FLOAT", asked="fp32").close()


def test_a_context_that_was_not_made_is_an_error(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt_fakes, "context", lambda *arguments: None)
    with pytest.raises(BackendError, match="could not make a context"):
        open_engine()


def test_half_precision_ends_are_refused(
    open_engine: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = Flavour.tensors

    def halved(self: Flavour, engine: Any) -> list[Any]:
        rows = tensors(self, engine)
        return [
            SimpleNamespace(name=r.name, is_input=r.is_input, shape=r.shape, kind="HALF")
            for r in rows
        ]

    monkeypatch.setattr(Flavour, "tensors", halved)
    with pytest.raises(BackendError, match="cannot use"):
        open_engine()


def test_an_engine_that_was_never_built(gpu: SimulatedGpu, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    flavour.cache_clear()
    with pytest.raises(BackendError, match="No engine of 'm'") as caught:
        registry.open_engine("tensorrt_rtx", tmp_path, "m", written(tmp_path, ONNX))
    assert "dermedge build" in str(caught.value.remedy)


def test_auto_takes_a_gpu_only_where_it_can_be_used(
    gpu: SimulatedGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: object())
    assert registry.choose_backend() == "openvino"  # nothing was built yet
    assert "dermedge build" in str(registry.available_backends()["tensorrt"])
    engine_folder().mkdir(parents=True)
    (engine_folder() / "m-00.tensorrt.json").write_text("{}")
    assert registry.choose_backend() == "tensorrt"
    monkeypatch.setattr(registry, "gpus", list)
    assert registry.choose_backend() == "openvino"
    with pytest.raises(BackendError, match="cannot run here") as caught:
        registry.choose_backend("tensorrt")
    assert "no GPU" in str(caught.value.got)
