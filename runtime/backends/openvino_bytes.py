"""8-bit files on processors that multiply only unsigned bytes by signed ones."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

from runtime.machine import cpu

if TYPE_CHECKING:
    import openvino

X86 = ("x86_64", "AMD64")
SUMS = {"avx512_vnni", "avx_vnni"}
"""Either adds up products of bytes in 32 bits. AVX2 and AVX-512 alone add two of them in 16."""
SHIFT = 128


def has_sound_kernels() -> bool:
    """Whether OpenVINO's 8-bit kernels can be right here. On x86 without SUMS they cut sums off: a
    convolution of random bytes was off by nine tenths of its mean."""
    return takes_signed() or not SUMS.isdisjoint(cpu()[1])


def takes_signed() -> bool:
    """Whether signed bytes are multiplied as they are, which on x86 only AMX does."""
    return platform.machine() not in X86 or "amx_int8" in cpu()[1]


def shift_bytes(model: openvino.Model) -> None:
    """Activations that are rounded to −128 … 127 become the same numbers, rounded to 0 … 255.

    Ours are signed, as TensorRT wants them. OpenVINO shifts them itself where it has to, but where
    some of them meet in a Concat only every second level of each is left (2026.4.1). Every skip
    connection of a U-Net is such a Concat: the demo bundle's masks were off by 0.13 in the mean.
    """
    for signed in [step for step in model.get_ordered_ops() if is_rounding(step)]:
        _shift(signed)
    model.validate_nodes_and_infer_types()


def is_rounding(step: openvino.Node) -> bool:
    """A QuantizeLinear to signed bytes is read as FakeQuantize → Convert."""
    return (
        step.get_type_name() == "Convert"
        and step.get_element_type().get_type_name() == "i8"
        and step.input_value(0).get_node().get_type_name() == "FakeQuantize"
    )


def _shift(signed: openvino.Node) -> None:
    from openvino import opset13 as steps

    rounded = signed.input_value(0).get_node()
    value, low, high, *ends = rounded.input_values()
    shifted = [steps.constant(end.get_node().data + np.float32(SHIFT)) for end in ends]
    levels = rounded.get_attributes()["levels"]
    unsigned = steps.convert(steps.fake_quantize(value, low, high, *shifted, levels), "u8")
    for wide in [use.get_node() for use in signed.output(0).get_target_inputs()]:
        if wide.get_type_name() != "Convert":  # the first step of a DequantizeLinear
            continue
        kind = wide.get_element_type().get_type_name()
        shift = steps.convert(steps.constant(np.uint8(SHIFT)), kind)
        number = steps.subtract(steps.convert(unsigned, kind), shift)
        for end in wide.output(0).get_target_inputs():
            end.replace_source_output(number.output(0))
