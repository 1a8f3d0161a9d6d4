"""Every quantised graph through NVIDIA's real parser and builder, which need no GPU for that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime import demo
from runtime.backends.layer_precision import counted
from runtime.bundle_files import load_bundle
from runtime.errors import BackendError
from runtime.half import to_half
from tests.bundle_factory import SIZE
from tests.calibration.quantising.conv_bundle import member, quantised, segmenter
from tests.export.test_tensorrt import build

pytestmark = pytest.mark.slow

FEEDS = {"image": np.random.default_rng(0).random((1, 3, SIZE, SIZE), dtype=np.float32)}
DEMO = [
    (name, variant.file)
    for name, spec in load_bundle(demo.BUNDLE).spec.models.items()
    for variant in spec.variants
    if variant.precision in ("fp16", "int8")
]


@pytest.fixture(scope="module", autouse=True)
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")


def check(content: bytes) -> None:
    made = build(content, "int8")
    assert made.plan
    assert "int8" in counted(made.layers)
    assert made.checked_on == "engine"


@pytest.mark.parametrize("graph", [segmenter(), member(1)], ids=["mask", "class"])
def test_it_is_parsed_and_built(graph: onnx.ModelProto) -> None:
    check(quantised(to_half(graph, [FEEDS])))


@pytest.mark.parametrize(("name", "file"), DEMO, ids=[Path(file).stem for _, file in DEMO])
def test_so_are_networks_in_real_use(name: str, file: str) -> None:
    """From their 16-bit files, and the 8-bit ones that ship."""
    content = (Path(demo.BUNDLE) / file).read_bytes()
    check(content if "int8" in file else quantised(onnx.load_from_string(content)))


def test_zero_points_that_are_not_zero_are_refused() -> None:
    """The control: what onnxruntime writes by default does not pass."""
    graph = onnx.load_from_string(quantised(to_half(member(1), [FEEDS])))
    for item in graph.graph.initializer:
        if item.name.endswith(".zero") and not item.dims:
            item.CopyFrom(onnx.numpy_helper.from_array(np.int8(3), item.name))
    with pytest.raises(BackendError, match="cannot parse"):
        build(graph.SerializeToString(), "int8")
