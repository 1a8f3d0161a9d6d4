"""What all tests share: their order, how hypothesis searches, real images, a simulated GPU."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.runtime.device.simulated_gpu import Maker, SimulatedGpu

# A deadline is a wall-clock assertion, which fails on a busy machine and says nothing by it.
settings.register_profile("house", deadline=None, print_blob=True)
# In CI the examples are the same each time: what fails there is the change, not the draw.
settings.register_profile("repeated", settings.get_profile("house"), derandomize=True)
settings.load_profile("repeated" if os.environ.get("CI") else "house")


# Where tests run in the background Ctrl-C is ignored, by every process they start as well; those
# that are to be stopped by it have to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, so that most mistakes show in the first minute."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, which no repository holds; tests without it are skipped."""
    folder = os.environ.get("DERMEDGE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real images: set DERMEDGE_DATA to the folder that holds them")
    return Path(folder)


@pytest.fixture(scope="session")
def fault_rounds() -> int:
    """How often tests/faults breaks what it breaks: a few times, or many in `make faults`."""
    return int(os.environ.get("DERMEDGE_FAULT_ROUNDS", "10"))


@pytest.fixture
def make_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """A machine with a simulated GPU, PyCUDA, TensorRT and an empty cache of engines.

    The next GPU takes the place of the one before. At the end no thread may be left with a context.
    """
    from runtime.backends import registry
    from runtime.backends.trt_flavours import flavour
    from runtime.machine import Gpu
    from tests.runtime.device import simulated_gpu as simulated
    from tests.runtime.device.simulated_trt import tensorrt_module

    made: list[SimulatedGpu] = []

    def make(seed: int = 0, integrated: bool = False) -> SimulatedGpu:
        gpu = simulated.SimulatedGpu(seed, integrated)
        made.append(gpu)
        modules = simulated.pycuda_modules(gpu) | {"tensorrt": tensorrt_module(gpu)}
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        bindings = simulated.bindings_module(gpu)
        monkeypatch.setattr("runtime.device.driver._bindings", lambda: bindings)
        flavour.cache_clear()
        return gpu

    found = Gpu("Orin", "8.6", 8192, "13.0")
    monkeypatch.setattr("runtime.machine.gpus", lambda: [found])
    monkeypatch.setattr(registry, "gpus", lambda: [found])
    monkeypatch.setattr(
        "runtime.device.kernels.compiled_kernels", lambda *given: (b"", Path("simulated"))
    )
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    yield make
    flavour.cache_clear()
    for gpu in made:
        assert gpu.left == [], "a thread was left with a context"


@pytest.fixture
def gpu(make_gpu: Maker) -> SimulatedGpu:
    return make_gpu()
