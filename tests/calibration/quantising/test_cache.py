"""Ranges for DLA: what quantize writes is what build hands to TensorRT, and fits its file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from calibration.quantising.bundle import Order, quantise_bundle
from calibration.quantising.cache import cache_text, ends_of
from calibration.quantising.placement import find_sites
from runtime import build
from runtime.backends.engine_key import BuildSettings
from runtime.backends.trt_flavours import Flavour
from runtime.build_worker import Job, variant_for
from runtime.bundle_files import LoadedBundle
from tests.calibration.quantising.conv_bundle import (
    MEMBERS,
    OTHER,
    make_conv_bundle,
    member,
    write_images,
)
from tests.runtime.backends.trt_fakes import library


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    folder = tmp_path_factory.mktemp("made")
    source = make_conv_bundle(folder / "B", fragile=True, half=request.param == "fp16")
    images = write_images(folder / "photos")
    order = Order(
        source.path, images, folder / "B8", method="minmax", count=4, backends=("openvino",)
    )
    bundle, _ = quantise_bundle(order, lambda what: None)
    return bundle


def read_back(bundle: LoadedBundle, name: str) -> dict[str, float]:
    """As build finds it and as TensorRT is given it."""
    path = build._ranges(bundle.path / "calibration", name)
    assert path is not None
    module, _ = library("10.3")
    given = Flavour("tensorrt", module)._calibrator(path.read_bytes()).read_calibration_cache()
    header, *rows = given.decode().splitlines()
    assert header == "TRT-8603-EntropyCalibration2"
    pairs = (row.rsplit(": ", 1) for row in rows)
    return {tensor: struct.unpack(">f", bytes.fromhex(scale))[0] for tensor, scale in pairs}


@pytest.mark.parametrize("name", ["segmenter", *MEMBERS])
def test_scales_are_those_of_the_8_bit_file(made: LoadedBundle, name: str) -> None:
    found = read_back(made, name)
    graph = onnx.load(str(made.path / "models" / f"{name}.int8.onnx")).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    quantised = {n.input[0]: n.input[1] for n in graph.node if n.op_type == "QuantizeLinear"}
    shared = found.keys() & quantised.keys()
    assert shared
    for tensor in shared:
        np.testing.assert_allclose(constants[quantised[tensor]], found[tensor], rtol=1e-3)


@pytest.mark.parametrize("name", ["segmenter", *MEMBERS])
def test_every_tensor_is_one_of_the_file_that_dla_is_built_from(
    made: LoadedBundle, name: str
) -> None:
    ranges = made.path / "calibration" / f"{name}.cache"
    job = Job(
        bundle=made.path, model=name, backend="tensorrt", cache=made.path,
        settings=BuildSettings(dla=0), ranges=ranges,
    )  # fmt: skip
    variant = variant_for(job, made.spec.models[name])
    assert variant.precision != "int8"
    graph = onnx.load(str(made.path / variant.file)).graph
    tensors = {name for node in graph.node for name in node.output}
    assert read_back(made, name).keys() <= tensors | {item.name for item in graph.input}
    assert ranges.relative_to(made.path).as_posix() in made.spec.files


def test_layers_that_stay_in_16_bits_have_an_end_without_a_scale(made: LoadedBundle) -> None:
    """The fragile member's second block, which reads a channel that is too loud."""
    found = read_back(made, OTHER).keys()
    assert not {"block1", "block1.on"} & found
    assert {"block0", "block0.on", "block2"} <= found


def test_ends_are_both_sides_and_what_is_fused_behind(tmp_path: Path) -> None:
    graph = member(1)
    (last,) = (site for site in find_sites(graph) if site.key == "block2")
    assert ends_of(graph, [last]) == ["block1.on", "block2", "sum", "sum.on"]
    onnx.save(graph, str(tmp_path / "m.onnx"))
    text = cache_text(tmp_path / "m.onnx", {"block2": 127.0, "block2.of_another_form": 1.0})
    assert text == "TRT-8603-EntropyCalibration2\nblock2: 3f800000\n"
