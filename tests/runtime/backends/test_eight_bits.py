"""8 bits in OpenVINO: right on whatever processor this is, and in 8-bit kernels where they are."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from onnx import helper

from calibration.quantising.qdq import at_opset
from runtime import demo
from runtime.backends import openvino_bytes, openvino_engine
from runtime.backends.base import Graph
from runtime.backends.openvino_engine import OpenVinoEngine
from runtime.bundle_files import load_bundle
from runtime.chain import open_chain
from tests.bundle_factory import model

openvino = pytest.importorskip("openvino")

WIDTH, SIDE, STEP = 16, 4, 0.5
IMAGE = np.random.default_rng(1).normal(0, 40, (1, WIDTH, SIDE, SIDE)).astype(np.float32)
LEVELS = np.clip(np.rint(np.concatenate([IMAGE, -IMAGE], axis=1) / STEP), -128, 127)


def joined() -> bytes:
    """Two tensors meet in a Concat; a layer in 8 bits hands on what they were rounded to."""
    constants = {
        "step": np.float32(STEP),
        "zero": np.int8(0),
        "same": 100 * np.eye(2 * WIDTH, dtype=np.int8)[..., None, None],
        "steps": np.full(2 * WIDTH, 0.01, np.float32),
        "zeros": np.zeros(2 * WIDTH, np.int8),
    }
    nodes = [
        helper.make_node("Neg", ["image"], ["negative"]),
        helper.make_node("Concat", ["image", "negative"], ["both"], axis=1),
        helper.make_node("QuantizeLinear", ["both", "step", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "step", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["same", "steps", "zeros"], ["weight"], axis=0),
        helper.make_node("Conv", ["rounded", "weight"], ["mask"]),
    ]
    shapes = {"image": (WIDTH, SIDE, SIDE)}, {"mask": (2 * WIDTH, SIDE, SIDE)}
    content: bytes = at_opset(model(nodes, *shapes, constants)).SerializeToString()
    return content


def graph() -> Graph:
    spec = load_bundle(demo.BUNDLE).spec.models["segmenter"]  # gives a mask, too
    return Graph("segmenter", "joined.onnx", "int8", joined(), spec, 2)


def test_the_shipped_bundle_passes_its_own_test_here() -> None:
    """Its golden images in the precision that it runs in: a start would be refused."""
    with open_chain(load_bundle(demo.BUNDLE), "openvino") as chain:
        assert chain.backend.precision["segmenter"] == "int8"


def test_where_tensors_meet_every_level_is_left() -> None:
    """The smallest graph of which OpenVINO 2026.4.1 left every second, on x86 without AMX."""
    with OpenVinoEngine(graph(), threads=1) as engine:
        said = engine.run({"image": IMAGE})["mask"]
    np.testing.assert_allclose(said / STEP, LEVELS, atol=1e-3)


def test_it_is_computed_in_8_bits() -> None:
    if platform.machine() not in openvino_bytes.X86 or not openvino_bytes.has_sound_kernels():
        pytest.skip("no such kernels on this processor")
    core, settings = openvino_engine._core(), openvino_engine._settings(1)
    compiled = openvino_engine._compiled(core, graph(), settings)
    steps = [step.get_rt_info() for step in compiled.get_runtime_model().get_ops()]
    kernels = {step["layerType"].value: step["primitiveType"].value for step in steps}
    assert kernels["Convolution"].endswith("_I8")


def test_shifted_bytes_are_the_same_numbers() -> None:
    """On any processor, for those that need it."""
    core = openvino_engine._core()
    shifted = core.read_model(joined())
    openvino_bytes.shift_bytes(shifted)
    assert not any(openvino_bytes.is_rounding(step) for step in shifted.get_ops())
    settings = openvino_engine._settings(1) | {"LP_TRANSFORMS_MODE": "NO"}
    said = core.compile_model(shifted, "CPU", settings)([IMAGE])[0]
    np.testing.assert_allclose(said / STEP, LEVELS, atol=1e-3)


@pytest.mark.parametrize(
    ("machine", "abilities", "signed", "mode"),
    [
        ("x86_64", ["avx512_vnni", "amx_int8"], True, None),
        ("x86_64", ["avx512f", "avx512_vnni"], False, None),
        ("AMD64", ["avx2", "avx_vnni"], False, None),
        ("x86_64", ["avx2", "avx512f"], False, "NO"),
        ("aarch64", ["i8mm"], True, None),
    ],
)
def test_each_processor_gets_what_it_multiplies(
    machine: str,
    abilities: list[str],
    signed: bool,
    mode: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openvino_bytes, "cpu", lambda: ("a processor", abilities))
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert openvino_bytes.takes_signed() == signed
    assert openvino_engine._settings(None).get("LP_TRANSFORMS_MODE") == mode
