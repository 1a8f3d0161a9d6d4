"""Every quantised graph through NVIDIA's real parser and builder, which need no GPU for that."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import at_opset, insert
from runtime import demo
from runtime.bundle_files import load_bundle
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


@pytest.fixture(scope="module")
def tensorrt() -> ModuleType:
    return pytest.importorskip(
        "tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'"
    )


def quantised(graph: onnx.ModelProto) -> bytes:
    """Any range will do: TensorRT's parser and builder do not look at what is in it."""
    graph = at_opset(graph)
    sites = find_sites(graph)
    assert sites
    names = {name for site in sites for name in (site.input, *(site.shortcut or ())[1:])}
    return insert(graph, sites, dict.fromkeys(names, 6.0)).SerializeToString()


@pytest.mark.parametrize("graph", [segmenter(), member(1)], ids=["mask", "class"])
def test_it_is_parsed_and_built(tensorrt: ModuleType, graph: onnx.ModelProto) -> None:
    plan, errors = build(tensorrt, quantised(to_half(graph, [FEEDS])))
    assert errors == []
    assert plan


@pytest.mark.parametrize(("name", "file"), DEMO, ids=[name for name, _ in DEMO])
def test_so_are_networks_in_real_use(tensorrt: ModuleType, name: str, file: str) -> None:
    graph = onnx.load(str(Path(demo.BUNDLE) / file))
    plan, errors = build(tensorrt, quantised(graph))
    assert errors == [], name
    assert plan


def test_zero_points_that_are_not_zero_are_refused(tensorrt: ModuleType) -> None:
    """The control: what onnxruntime writes by default does not pass."""
    graph = onnx.load_from_string(quantised(to_half(member(1), [FEEDS])))
    for item in graph.graph.initializer:
        if item.name.endswith(".zero") and not item.dims:
            item.CopyFrom(onnx.numpy_helper.from_array(np.int8(3), item.name))
    plan, errors = build(tensorrt, graph.SerializeToString())
    assert plan is None
    assert errors
