"""The tiny bundle again, with networks that have layers to quantise.

Two members, of which one can be given a layer that does not bear 8 bits: beside what it looks at,
a channel that is thousands of times larger, so that all else becomes zero in 8 bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import helper

from calibration.quantising.placement import find_sites
from calibration.quantising.qdq import at_opset, insert
from runtime.bundle_files import LoadedBundle, seal
from tests.bundle_factory import (
    CLASSES,
    SIZE,
    WEIGHTS,
    add_golden,
    bundle_fields,
    mean_of_members,
    model,
    picture,
)

WIDTH = 16
LOUD = 3000.0
MEMBERS = tuple(WEIGHTS)
PLAIN, OTHER = MEMBERS


def segmenter() -> onnx.ModelProto:
    """Grey, smoothed, and dark through a steep sigmoid; the middle layer is the one to quantise."""
    weights = {
        "net.grey.weight": np.full((WIDTH, 3, 1, 1), 1 / 3),
        "net.smooth.weight": np.full((WIDTH, WIDTH, 3, 3), 1 / (WIDTH * 9)),
        "net.dark.weight": np.full((1, WIDTH, 1, 1), -30 / WIDTH),
        "net.dark.bias": np.full(1, 30 * 0.4),
    }
    nodes = [
        helper.make_node("Conv", ["image", "net.grey.weight"], ["grey"]),
        helper.make_node("Relu", ["grey"], ["lit"]),
        helper.make_node("Conv", ["lit", "net.smooth.weight"], ["smooth"], pads=[1] * 4),
        helper.make_node("Conv", ["smooth", "net.dark.weight", "net.dark.bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["mask"]),
    ]
    shapes = {"image": (3, SIZE, SIZE)}, {"mask": (1, SIZE, SIZE)}
    return model(nodes, *shapes, _floats(weights))


def member(seed: int, fragile: bool = False) -> onnx.ModelProto:
    """A stem, three blocks of one convolution, the last one residual; pooling, and a head."""
    rng = np.random.default_rng(seed)
    weights = {
        "net.stem.conv.weight": rng.normal(0, 0.6, (WIDTH, 3, 1, 1)),
        "net.stem.conv.bias": rng.normal(0, 0.1, WIDTH),
    }
    for block in range(3):
        weights[f"net.blocks.{block}.conv.weight"] = rng.normal(0, 0.12, (WIDTH, WIDTH, 3, 3))
        weights[f"net.blocks.{block}.conv.bias"] = rng.normal(0, 0.05, WIDTH)
    weights["net.head.weight"] = rng.normal(0, 1.5, (WIDTH, len(CLASSES)))
    if fragile:
        weights["net.blocks.0.conv.bias"][0] = LOUD
        weights["net.blocks.1.conv.weight"][:, 0] = 0.0
    nodes = [_conv("image", "net.stem.conv", "stem", 0), _relu("stem")]
    below = "stem.on"
    for block in range(3):
        nodes += [_conv(below, f"net.blocks.{block}.conv", f"block{block}", 1)]
        if block == 2:
            nodes.append(helper.make_node("Add", ["block2", below], ["sum"]))
        nodes.append(_relu("sum" if block == 2 else f"block{block}"))
        below = nodes[-1].output[0]
    nodes += [
        helper.make_node("GlobalAveragePool", [below], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "net.head.weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    count = (len(CLASSES),)
    outputs = {"probabilities": count, "logits": count}
    return model(nodes, {"image": (3, SIZE, SIZE)}, outputs, _floats(weights))


def make_conv_bundle(folder: Path, fragile: bool = False, half: bool = False) -> LoadedBundle:
    """Sealed, with a golden image; `fragile` is the second member's, `half` makes fp16 files."""
    graphs = {
        "segmenter": segmenter(),
        PLAIN: member(1),
        OTHER: member(2, fragile),
        "ensemble": mean_of_members(len(MEMBERS), len(CLASSES)),
    }
    fields = bundle_fields()
    (folder / "models").mkdir(parents=True)
    for name, graph in graphs.items():
        if half and name != "ensemble":
            graph = _half(graph)
            fields["models"][name]["variants"][0]["precision"] = "fp16"
        onnx.save(graph, str(folder / "models" / f"{name}.onnx"))
    (folder / "card.md").write_text("# tiny 1\n\nA card.\n", encoding="utf-8")
    return add_golden(seal(folder, fields))


def write_images(folder: Path, count: int = 6) -> Path:
    """Lesions of several colours and sizes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    for number in range(count):
        colour = tuple(int(v) for v in rng.integers(20, 90, 3))
        frame = picture(100 + 8 * number, 140, colour)  # type: ignore[arg-type]
        (folder / f"image{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    return folder


def _half(graph: onnx.ModelProto) -> onnx.ModelProto:
    from runtime.half import to_half

    probe = np.random.default_rng(0).random((1, 3, SIZE, SIZE), dtype=np.float32)
    return to_half(graph, [{"image": probe}])


def _conv(below: str, name: str, out: str, pad: int) -> onnx.NodeProto:
    inputs = [below, f"{name}.weight", f"{name}.bias"]
    return helper.make_node("Conv", inputs, [out], pads=[pad] * 4)


def _relu(name: str) -> onnx.NodeProto:
    return helper.make_node("Relu", [name], [f"{name}.on"])


def _floats(values: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def quantised(graph: onnx.ModelProto) -> bytes:
    """Any range will do: TensorRT's parser and builder do not look at what is in it."""
    graph = at_opset(graph)
    sites = find_sites(graph)
    assert sites
    names = {name for site in sites for name in (site.input, *(site.shortcut or ())[1:])}
    return insert(graph, sites, dict.fromkeys(names, 6.0)).SerializeToString()
