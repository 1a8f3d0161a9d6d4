"""Tiny bundles that are real: ONNX graphs of a few nodes that every engine runs in microseconds.

Dark pixels are the lesion, and a member judges by the mean colour of what it sees. So tests can
draw a picture and know what should come out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from runtime.bundle_files import LoadedBundle, seal
from runtime.specs import CHANNELS

CLASSES = ("melanoma", "nevus")
SIZE = 32  # of the segmenter's and the members' inputs
WEIGHTS = {  # blue, green and red speak for one class or the other, each member in its own way
    "member_a": ((-6.0, 4.0), (2.0, -3.0), (1.0, 2.0)),
    "member_b": ((-2.0, 5.0), (0.0, -4.0), (3.0, -1.0)),
}
SKIN, DARK = (150, 170, 215), (35, 45, 70)


def picture(
    height: int = 120, width: int = 160, colour: tuple[int, int, int] = DARK, lesion: bool = True
) -> np.ndarray:
    """Skin with fine texture, and a dark ellipse a bit off its middle."""
    frame = np.full((height, width, 3), SKIN, dtype=np.uint8)
    if lesion:
        centre, axes = (width * 9 // 20, height // 2), (width // 6, height // 5)
        cv2.ellipse(frame, centre, axes, 20, 0, 360, colour, cv2.FILLED)
    texture = np.random.default_rng(0).integers(-6, 7, frame.shape)
    return np.clip(frame + texture, 0, 255).astype(np.uint8)


def segmenter(channels: int = 3) -> onnx.ModelProto:
    """The darkness of a pixel through a steep sigmoid."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["middle", "grey"], ["darkness"]),
        helper.make_node("Mul", ["darkness", "steepness"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["mask"]),
    ]
    constants = {"middle": np.float32(0.4), "steepness": np.float32(30)}
    return model(nodes, {"image": (channels, SIZE, SIZE)}, {"mask": (1, SIZE, SIZE)}, constants)


def purifier() -> onnx.ModelProto:
    """Dark specks and lines of up to two pixels are filled with what is beside them.

    What it gives is half as wide as what it is given: a picture of a size of its own.
    """
    pools = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    halves = {"kernel_shape": [1, 2], "strides": [1, 2]}
    nodes = [
        helper.make_node("MaxPool", ["image"], ["light"], **pools),
        helper.make_node("Neg", ["light"], ["dark"]),
        helper.make_node("MaxPool", ["dark"], ["filled"], **pools),
        helper.make_node("Neg", ["filled"], ["closed"]),
        helper.make_node("AveragePool", ["closed"], ["picture"], **halves),
    ]
    return model(nodes, {"image": (3, SIZE, SIZE)}, {"picture": (3, SIZE, SIZE // 2)}, {})


def member(weights: Any, metadata: int = 0, half: bool = False) -> onnx.ModelProto:
    """Mean colour, then one linear layer; `half` computes it in 16 bits between 32-bit ends.

    What is dark in the image is hot in its heat map.
    """
    kind = np.float16 if half else np.float32
    inputs = {"image": (3, SIZE, SIZE)}
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colour"]),
    ]
    known = "colour"
    weights = np.asarray(weights, dtype=kind)
    if metadata:
        inputs["metadata"] = (metadata,)
        nodes.append(helper.make_node("Concat", ["colour", "metadata"], ["known"], axis=1))
        extra = np.linspace(-1, 1, metadata * weights.shape[1]).reshape(metadata, -1)
        weights, known = np.concatenate([weights, extra.astype(kind)]), "known"
    ends = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    nodes += [
        helper.make_node("Cast", [known], ["cast"], to=ends),
        helper.make_node("Gemm", ["cast", "weights"], ["narrow"]),
        helper.make_node("Cast", ["narrow"], ["logits"], to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    nodes += [
        helper.make_node("ReduceMean", ["image"], ["lightness"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "lightness"], ["heatmap"]),
    ]
    count = (weights.shape[1],)
    outputs = {"probabilities": count, "logits": count, "heatmap": (1, SIZE, SIZE)}
    return model(nodes, inputs, outputs, {"weights": weights, "one": np.float32(1)})


def mean_of_members(members: int, classes: int) -> onnx.ModelProto:
    nodes = [helper.make_node("ReduceMean", ["members"], ["probabilities"], axes=[1], keepdims=0)]
    return model(nodes, {"members": (members, classes)}, {"probabilities": (classes,)}, {})


def told_mean(members: int, metadata: int) -> onnx.ModelProto:
    """The members' mean, moved by what is known of the patient."""
    nodes = [
        helper.make_node("ReduceMean", ["members"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["metadata", "weights"], ["moved"]),
        helper.make_node("Add", ["mean", "moved"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    count = len(CLASSES)
    weights = np.linspace(-1, 1, metadata * count, dtype=np.float32).reshape(metadata, count)
    given = {"members": (members, count), "metadata": (metadata,)}
    return model(nodes, given, {"probabilities": (count,)}, {"weights": weights})


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    constants: dict[str, Any],
    opset: int = 17,
) -> onnx.ModelProto:
    """A float32 graph whose first dimension is the open batch, as every graph in a bundle."""

    def described(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
            for name, shape in shapes.items()
        ]

    weights = [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "tiny", described(inputs), described(outputs), weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def image_input(view: str) -> dict[str, Any]:
    preprocess = {"size": [SIZE, SIZE], "mean": [0.0] * 3, "std": [1.0] * 3}
    return {"kind": "image", "name": "image", "view": view, "preprocess": preprocess}


def model_fields(name: str, inputs: list[dict[str, Any]], *roles: str) -> dict[str, Any]:
    return {
        "variants": [{"precision": "fp32", "file": f"models/{name}.onnx"}],
        "inputs": inputs,
        "outputs": [{"name": role, "role": role} for role in roles],
    }


def bundle_fields() -> dict[str, Any]:
    """bundle.json of the tiny bundle, as `seal` takes it. Change it before sealing."""
    members = {
        name: model_fields(name, [image_input("crop")], "probabilities", "logits")
        for name in WEIGHTS
    }
    together = [{"kind": "members", "name": "members"}]
    return {
        "name": "tiny",
        "version": "1",
        "created": "2026-01-02T03:04:05Z",
        "recipe": "none",
        "intended_use": "tests",
        "classes": list(CLASSES),
        "positive": ["melanoma"],
        "provenance": {"revision": "unknown"},
        "models": {
            "segmenter": model_fields("segmenter", [image_input("whole")], "mask"),
            **members,
            "ensemble": model_fields("ensemble", together, "probabilities"),
        },
        "views": {"whole": {}, "crop": {"area": "lesion", "margin": 0.1, "square": True}},
        "chain": {
            "segment": {"model": "segmenter", "threshold": 0.5},
            "classify": list(WEIGHTS),
            "combine": {"model": "ensemble"},
        },
        "decision": {"score": "melanoma", **operating_point(0.5)},
    }


def explaining(fields: dict[str, Any]) -> dict[str, Any]:
    """The same bundle with a heat map of each member, out of the member's own file."""
    maps = {f"{name}_heatmap": name for name in WEIGHTS}
    models = {
        own: fields["models"][name] | {"outputs": [{"name": "heatmap", "role": "heatmap"}]}
        for own, name in maps.items()
    }
    chain = fields["chain"] | {"explain": {"models": list(maps)}}
    return fields | {"models": fields["models"] | models, "chain": chain}


def purifying(fields: dict[str, Any], method: str = "model") -> dict[str, Any]:
    """The same bundle; its first member looks at what purification made of the frame."""
    crop = fields["views"]["crop"]
    views = fields["views"] | {"pure": crop | {"source": "purified"}}
    name = next(iter(WEIGHTS))
    models = fields["models"] | {name: fields["models"][name] | {"inputs": [image_input("pure")]}}
    purify = {"method": method}
    if method == "model":
        purify["model"] = "purifier"
        painted = [{"name": "picture", "role": "image"}]
        spec = model_fields("purifier", [image_input("whole")])
        models["purifier"] = spec | {"outputs": painted}
    chain = fields["chain"] | {"purify": purify}
    return fields | {"views": views, "models": models, "chain": chain}


def without_segmenter(fields: dict[str, Any]) -> dict[str, Any]:
    """The same bundle; its members look at whole frames."""
    views = {n: {"source": v.get("source", "frame")} for n, v in fields["views"].items()}
    return fields | {"views": views, "chain": fields["chain"] | {"segment": None}}


def operating_point(threshold: float) -> dict[str, Any]:
    interval = {"low": 0.7, "high": 0.95}
    reached = {
        "target_sensitivity": 0.9,
        "sensitivity": 0.9,
        "sensitivity_interval": interval,
        "specificity": 0.8,
        "specificity_interval": interval,
        "positives": 40,
        "negatives": 60,
        "predictions": "made up",
    }
    return {"threshold": threshold, "operating_point": reached}


def write_models(folder: Path, weights: dict[str, Any] | None = None, channels: int = 3) -> None:
    """The graphs of `bundle_fields`, with other members' weights where they are given, and a
    segmenter that takes that many channels."""
    graphs = {
        "segmenter": segmenter(channels),
        "ensemble": mean_of_members(len(WEIGHTS), len(CLASSES)),
    }
    for name, values in (WEIGHTS | (weights or {})).items():
        graphs[name] = member(values)
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for name, graph in graphs.items():
        onnx.save(graph, str(folder / "models" / f"{name}.onnx"))


def make_bundle(
    folder: Path, fields: dict[str, Any] | None = None, weights: dict[str, Any] | None = None
) -> LoadedBundle:
    """Write and seal the tiny bundle: graphs, bundle.json, no golden image yet."""
    fields = fields or bundle_fields()
    (image,) = fields["models"]["segmenter"]["inputs"]
    write_models(folder, weights, CHANNELS[image["preprocess"].get("colour", "rgb")])
    if "purifier" in fields["models"]:
        onnx.save(purifier(), str(folder / "models" / "purifier.onnx"))
    return seal(folder, fields)


def make_purifying(
    folder: Path, nodes: list[onnx.NodeProto], channels: int = 3, **constants: Any
) -> LoadedBundle:
    """The tiny bundle that purifies, with a purifier of other `nodes`."""
    fields = purifying(bundle_fields())
    make_bundle(folder, fields)
    shapes = {"image": (3, SIZE, SIZE)}, {"picture": (channels, SIZE, SIZE)}
    onnx.save(model(nodes, *shapes, constants), str(folder / "models" / "purifier.onnx"))
    return seal(folder, fields)


def add_golden(bundle: LoadedBundle, backends: tuple[str, ...] = ("openvino",)) -> LoadedBundle:
    """The same bundle with one golden image, measured on the backends given."""
    from runtime.bundle_files import fields_of
    from runtime.golden import measure_golden

    path = bundle.path / "golden" / "dark.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture())[1].tobytes())
    golden = measure_golden(bundle, ["golden/dark.png"], backends)
    return seal(bundle.path, fields_of(bundle) | {"golden": golden})
