"""Every quantised graph through NVIDIA's real parser and builder, which need no GPU for that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import at_opset, insert
from runtime import demo
from runtime.backends.layer_precision import counted
from runtime.bundle_files import load_bundle
from runtime.errors import BackendError
from runtime.half import to_half
from tests.bundle_factory import SIZE
from tests.calibration.quantising.conv_bundle import member, segmenter
from tests.export.test_tensorrt import build

pytestmark = pytest.mark.slow

FEEDS = {"image": np.random.default_rng(0).random((1, 3, SIZE, SIZE), dtype=np.float32)}
DEMO = [
    (name, variant.file)
    for name, spec in load_bundle(demo.BUNDLE).spec.models.items()
    for variant in spec.variants
    if variant.precision == "fp16"
]


@pytest.fixture(scope="module", autouse=True)
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")


def quantised(graph: onnx.ModelProto) -> bytes:
    """Any range will do: TensorRT's parser and builder do not look at what is in it."""
    graph = at_opset(graph)
    sites = find_sites(graph)
    assert sites
    names = {name for site in sites for name in (site.input, *(site.shortcut or ())[1:])}
    return insert(graph, sites, dict.fromkeys(names, 6.0)).SerializeToString()


def check(content: bytes) -> None:
    made = build(content, "int8")
    assert made.plan
    assert "int8" in counted(made.layers)
    assert made.checked_on == "engine"


@pytest.mark.parametrize("graph", [segmenter(), member(1)], ids=["mask", "class"])
def test_it_is_parsed_and_built(graph: onnx.ModelProto) -> None:
    check(quantised(to_half(graph, [FEEDS])))


@pytest.mark.parametrize(("name", "file"), DEMO, ids=[name for name, _ in DEMO])
def test_so_are_networks_in_real_use(name: str, file: str) -> None:
    check(quantised(onnx.load(str(Path(demo.BUNDLE) / file))))


def test_zero_points_that_are_not_zero_are_refused() -> None:
    """The control: what onnxruntime writes by default does not pass."""
    graph = onnx.load_from_string(quantised(to_half(member(1), [FEEDS])))
    for item in graph.graph.initializer:
        if item.name.endswith(".zero") and not item.dims:
            item.CopyFrom(onnx.numpy_helper.from_array(np.int8(3), item.name))
    with pytest.raises(BackendError, match="cannot parse"):
        build(graph.SerializeToString(), "int8")
