"""The GPU's chain on a GPU: it judges as the host does, in every way, and nothing grows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from runtime import demo
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.device.device_chain import DeviceChain
from runtime.device.launching import WAYS, Mode
from runtime.device.opened import OpenedBundle
from runtime.golden import check_golden
from runtime.host_chain import HostChain
from tests.bundle_factory import make_bundle
from tests.faults.soak import resident_mb
from tests.gpu.on_gpu import BACKENDS, build, needs
from tests.runtime.device.test_device_chain import FRAMES, KINDS, same

pytestmark = pytest.mark.gpu

MANY = 10_000
MOST_GROWTH_MB = 8


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    needs(request.param)
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    return str(request.param)


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return make_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("way", WAYS)
def test_it_judges_as_the_host_does(backend: str, bundle: LoadedBundle, way: Mode) -> None:
    build(bundle, backend)
    with (
        OpenedBundle(bundle, backend) as opened,
        DeviceChain(opened, (way,)) as chain,
        HostChain(bundle, "onnxruntime") as host,
    ):
        for frame in FRAMES:
            same(chain.analyse(frame), host.analyse(frame))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_bundle(backend: str, tmp_path: Path, kind: object) -> None:
    assert callable(kind)
    bundle = make_bundle(tmp_path / "bundle", kind())
    build(bundle, backend)
    with (
        OpenedBundle(bundle, backend) as opened,
        DeviceChain(opened) as chain,
        HostChain(bundle, "onnxruntime") as host,
    ):
        for frame in FRAMES:
            same(chain.analyse(frame), host.analyse(frame))


def test_several_frames_a_launch(backend: str, bundle: LoadedBundle) -> None:
    build(bundle, backend, batch=4)
    with (
        OpenedBundle(bundle, backend, batch=4) as opened,
        DeviceChain(opened) as chain,
        HostChain(bundle, "onnxruntime") as host,
    ):
        for got, frame in zip(chain.analyse_batch(FRAMES[:4], [{}] * 4), FRAMES, strict=False):
            same(got, host.analyse(frame))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_demo_passes_its_golden_images(backend: str, precision: str) -> None:
    bundle = load_bundle(demo.BUNDLE)
    build(bundle, backend, precision=precision)
    frames = [cv2.imread(str(path)) for path in sorted(demo.FRAMES.glob("*.*"))]
    with (
        OpenedBundle(bundle, backend, precision) as opened,
        DeviceChain(opened) as chain,
        HostChain(bundle, backend, precision=precision) as host,
    ):
        check_golden(chain)
        for frame in frames:
            got, expected = chain.analyse(frame), host.analyse(frame)
            assert got.result.lesion == expected.result.lesion
            assert got.combined == pytest.approx(expected.combined, abs=5e-3)


def test_nothing_grows(backend: str, bundle: LoadedBundle) -> None:
    import os

    build(bundle, backend)
    with OpenedBundle(bundle, backend) as opened, DeviceChain(opened) as chain:

        def run(count: int) -> tuple[int, float]:
            for number in range(count):
                result = chain.process(FRAMES[number % len(FRAMES)])
                assert result.status != "error", result.reason
            with opened.cuda.current():
                return opened.cuda.free_memory(), resident_mb(os.getpid())

        before = run(MANY // 10)
        after = run(MANY)
    assert after[0] >= before[0], "the GPU has less free memory than before"
    assert after[1] - before[1] < MOST_GROWTH_MB


def test_the_sanitizer_finds_nothing(backend: str, bundle: LoadedBundle) -> None:
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("needs NVIDIA's compute-sanitizer")
    build(bundle, backend)
    words = [sanitizer, "--error-exitcode", "99", sys.executable]
    words += ["-m", "tests.gpu.few_frames", str(bundle.path), backend]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
