"""What needs a real GPU: engines are built, loaded, run, and agree with the CPU's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.backends.registry import open_engine, why_unusable
from runtime.build_process import build_engine
from runtime.build_worker import Job
from runtime.machine import engine_folder
from tests.bundle_factory import make_bundle

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt_rtx"])
def test_engines_agree_with_the_cpu(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (reason := why_unusable(backend)) is not None:
        pytest.skip(reason)
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    bundle = make_bundle(tmp_path / "bundle")
    rng = np.random.default_rng(0)
    for name, model in bundle.spec.models.items():
        fields = {"bundle": bundle.path, "model": name, "backend": backend}
        build_engine(Job.model_validate(fields | {"cache": engine_folder()}))
        with (
            open_engine(backend, bundle.path, name, model) as on_gpu,
            open_engine("onnxruntime", bundle.path, name, model) as on_cpu,
        ):
            assert on_gpu.inputs == {item: (1, *shape[1:]) for item, shape in on_cpu.inputs.items()}
            feeds = {
                item: rng.random(shape, dtype=np.float32) for item, shape in on_gpu.inputs.items()
            }
            expected = on_cpu.run(feeds)
            for output, found in on_gpu.run(feeds).items():
                np.testing.assert_allclose(found, expected[output], atol=1e-4)
