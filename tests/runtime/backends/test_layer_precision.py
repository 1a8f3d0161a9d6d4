"""An engine that silently computes in another precision than was asked for is an error."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.backends.layer_precision import (
    Built,
    Layer,
    check_engine,
    check_network,
    counted,
    inspected,
    layers_of,
    multiplying,
    reported,
)
from runtime.errors import BackendError
from tests.runtime.backends.trt_fakes import Network, graph

HALF_CONV = Layer("conv", "CONVOLUTION", "fp16")
FLOAT_END = Layer("end", "SOFTMAX", "fp32")


def row(name: str, kind: str, key: str = "Format/Datatype", **others: Any) -> dict[str, Any]:
    tensor = {"Name": "x", "Dimensions": [1, 8, 8, 8], key: kind}
    return {"Name": name, "LayerType": "CaskConvolution", "Inputs": [tensor]} | others


OF_TEN = {
    "Layers": [
        row("conv + relu", "Channel major FP16 format where channel % 8 == 0"),
        row("dense", "Thirty-two wide channel vectorized row major Int8 format"),
        row("end", "Row major linear FP32"),
    ],
    "Bindings": ["image", "logits"],
}
OF_ELEVEN = {
    "Layers": [
        row("k0", "Half", "Datatype", Metadata="[ONNX Layer: conv]\x1e[ONNX Layer: relu]"),
        row("k1", "Int8", "Datatype", Metadata="[ONNX Layer: dense]"),
        row("k2", "Float", "DataType", Metadata="[ONNX Layer: end]"),
    ],
    "I/O Tensors": [{"Name": "image", "IOMode": "Input", "DataType": "Float"}],
}
PRINTED = (
    "Layers:\n"
    "Name: k0, LayerType: correlation, Inputs: [ { Name: x, Datatype: Half, Format: (NHWC) }], "
    "Outputs: [], Metadata: [ONNX Layer: conv][ONNX Layer: relu]\n"
    "Name: k1, LayerType: correlation, Inputs: [ { Name: y, Datatype: Int8 }], "
    "Metadata: [ONNX Layer: dense]\n"
    "Name: k2, LayerType: kgen, Inputs: [ { Name: z, Datatype: Float }], "
    "Metadata: [ONNX Layer: end]\n"
    "\nI/O Tensors:\n Name: image, IOMode: Input, DataType: Float\n"
)
SAME = [
    Built(frozenset({"conv", "relu"}), frozenset({"fp16"})),
    Built(frozenset({"dense"}), frozenset({"int8"})),
    Built(frozenset({"end"}), frozenset({"fp32"})),
]


@pytest.mark.parametrize("report", [OF_TEN, OF_ELEVEN], ids=["Bindings", "I/O Tensors"])
def test_both_forms_of_the_inspector_say_the_same(report: dict[str, Any]) -> None:
    assert inspected(report) == SAME


def test_what_the_builder_prints_says_the_same() -> None:
    assert reported(PRINTED) == SAME
    assert reported("") == []


@pytest.mark.parametrize(
    ("word", "precision"),
    [
        ("Half", "fp16"), ("Float16", "fp16"), ("BFloat16", "bf16"), ("BF16", "bf16"),
        ("Float", "fp32"), ("Row major linear FP32 format (kLINEAR)", "fp32"), ("FP8", "fp8"),
        ("Int8", "int8"), ("Int32", None), ("N/A due to dynamic shapes", None),
    ],
)  # fmt: skip
def test_the_vendors_words_for_types(word: str, precision: str | None) -> None:
    (built,) = inspected({"Layers": [row("conv", word)]})
    assert built.types == (frozenset() if precision is None else {precision})


def test_layers_of_a_network_have_the_types_they_compute_in() -> None:
    network = Network(0)
    network.fill(
        graph(
            ("first", "CONVOLUTION", "HALF"), ("q", "QUANTIZE", "INT8"),
            ("dq", "DEQUANTIZE", "HALF"), ("second", "CONVOLUTION", "HALF"),
            ("relu", "ACTIVATION", "HALF"), ("sizes", "ACTIVATION", "INT64"),
            ("back", "CAST", "FLOAT"), ("end", "SOFTMAX", "FLOAT"),
        )
    )  # fmt: skip
    layers = layers_of(network)
    assert counted(layers) == {"int8": 1, "fp16": 2, "fp32": 1}
    assert multiplying(layers) == {"first": "fp16", "second": "int8"}


@pytest.mark.parametrize(
    ("asked", "layers"),
    [
        ("fp32", [FLOAT_END]),
        ("fp16", [HALF_CONV, FLOAT_END]),
        ("int8", [Layer("q", "CONVOLUTION", "int8"), HALF_CONV, FLOAT_END]),
        ("fp32", []),  # a graph that only moves numbers about
    ],
)
def test_a_network_as_asked_passes(asked: str, layers: list[Layer]) -> None:
    check_network("m.onnx", asked, layers)


@pytest.mark.parametrize(
    ("asked", "layers"),
    [
        ("fp32", [HALF_CONV, FLOAT_END]),
        ("fp16", [FLOAT_END]),
        ("fp16", [HALF_CONV, Layer("q", "CONVOLUTION", "int8")]),
        ("fp16", [HALF_CONV, Layer("b", "CONVOLUTION", "bf16")]),
        ("int8", [HALF_CONV]),
    ],
)
def test_a_network_in_another_precision_is_an_error(asked: str, layers: list[Layer]) -> None:
    with pytest.raises(BackendError, match="another precision") as caught:
        check_network("m.onnx", asked, layers)
    assert caught.value.expected == asked


def test_an_engine_that_keeps_to_its_network_passes() -> None:
    assert check_engine("m.onnx", "int8", {"conv": "fp16", "dense": "int8"}, SAME)
    assert check_engine("m.onnx", "fp32", {"end": "fp32"}, SAME[2:])


def test_an_engine_whose_layers_have_other_names_was_not_checked() -> None:
    typed = {f"layer{number}": "fp16" for number in range(8)}
    assert not check_engine("m.onnx", "fp16", {"another": "fp16"}, SAME)
    assert not check_engine("m.onnx", "fp16", {}, SAME)
    assert not check_engine("m.onnx", "fp16", typed | {"conv": "fp16"}, SAME)
    nearly = [Built(frozenset(typed), frozenset({"fp16"}))]
    assert check_engine("m.onnx", "fp16", typed | {"dropped": "fp16"}, nearly)
    silent = [Built(row.nodes, frozenset()) for row in SAME]
    assert not check_engine("m.onnx", "fp16", {"conv": "fp16"}, silent)


@pytest.mark.parametrize("asked", ["int8", "fp16"])
def test_kernels_of_which_none_has_the_type_asked_for_are_an_error(asked: str) -> None:
    with pytest.raises(BackendError, match="another precision"):
        check_engine("m.onnx", asked, {"another": asked}, SAME[2:])


BLOCK = "{ForeignNode[conv...end]}"
AS_TOLD = row(BLOCK, "Row major linear FP32", LayerType="Myelin", Metadata="[ONNX Layer: conv]")
AS_PRINTED = (
    f"Name: {BLOCK}, LayerType: Myelin, Inputs: [ {{ Name: x, Datatype: Float }}], "
    "Outputs: [], Metadata: [ONNX Layer: conv]\n"
)


@pytest.mark.parametrize("built", [inspected({"Layers": [AS_TOLD]}), reported(AS_PRINTED)])
def test_of_a_block_only_the_ends_are_told(built: list[Built]) -> None:
    """What it computes in between may well be what was asked for: that is neither."""
    assert [(row.block, row.types) for row in built] == [(True, {"fp32"})]
    assert not check_engine("m.onnx", "fp16", {"conv": "fp16"}, built)
    assert not check_engine("m.onnx", "fp32", {"conv": "fp32"}, built)
    beside = [*built, Built(frozenset({"end"}), frozenset({"fp32"}))]
    assert not check_engine("m.onnx", "fp16", {"conv": "fp16"}, beside)


@pytest.mark.parametrize(
    ("asked", "typed", "built"),
    [
        ("int8", {"conv": "int8"}, SAME),  # fell back to 16 bits
        ("fp16", {"end": "fp16"}, SAME),  # and to 32
        ("fp32", {"end": "fp32"}, SAME),  # something smaller than asked is in it
        ("fp16", {"conv": "fp16"}, []),  # it does not say
    ],
)
def test_an_engine_that_does_not_is_an_error(
    asked: str, typed: dict[str, str], built: list[Built]
) -> None:
    with pytest.raises(BackendError, match="precision"):
        check_engine("models/m.onnx", asked, typed, built)


def test_an_engine_that_gives_only_names_says_nothing() -> None:
    assert inspected({"Layers": ["conv + relu", "end"], "Bindings": []}) == []
