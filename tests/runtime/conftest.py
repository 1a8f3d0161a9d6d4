"""A tiny real bundle, made once and copied for each test that asks; and a simulated GPU."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.backends import registry
from runtime.backends.trt_flavours import flavour
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import Chain, open_chain
from runtime.machine import Gpu
from tests.bundle_factory import make_bundle
from tests.runtime.device.simulated_gpu import (
    Maker,
    SimulatedGpu,
    bindings_module,
    pycuda_modules,
)
from tests.runtime.device.simulated_trt import tensorrt_module


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """Read it, and leave it as it is: other tests read it too."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def bundle_folder(sealed: LoadedBundle, tmp_path: Path) -> Path:
    """A copy of the tiny bundle to break."""
    return Path(shutil.copytree(sealed.path, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def chain(sealed: LoadedBundle) -> Iterator[Chain]:
    with open_chain(load_bundle(sealed.path), "onnxruntime", threads=1) as chain:
        yield chain


@pytest.fixture
def make_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """A machine with a GPU, PyCUDA, TensorRT and an empty cache of engines.

    The next GPU takes the place of the one before. At the end no thread may be left with a context.
    """
    made: list[SimulatedGpu] = []

    def make(seed: int = 0, integrated: bool = False) -> SimulatedGpu:
        gpu = SimulatedGpu(seed, integrated)
        made.append(gpu)
        modules = pycuda_modules(gpu) | {"tensorrt": tensorrt_module(gpu)}
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("runtime.device.driver._bindings", lambda: bindings_module(gpu))
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
