"""Graphs that exist already: what becomes a bundle, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from export.make_bundle import EPILOG
from runtime.bundle_files import load_bundle
from runtime.chain import open_chain
from tests.bundle_factory import WEIGHTS, bundle_fields, member, picture, write_models
from tests.export.conftest import export

Fields = dict[str, Any]


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    write_models(folder)
    return folder


def describe(folder: Path, change: Callable[[Fields], object] = lambda fields: None) -> Path:
    fields = {key: value for key, value in bundle_fields().items() if key != "created"}
    change(fields)
    file = folder / "system.yaml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return file


def test_graphs_become_a_bundle_that_runs(graphs: Path, tmp_path: Path) -> None:
    done = export("--onnx", describe(graphs), "--out", tmp_path / "bundle", "--name", "theirs")
    assert done.exit_code == 0, done.output
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.spec.name == "theirs"
    assert len(bundle.spec.golden) == 3
    for name in bundle.spec.models:  # they may have been validated as they are
        copied = (bundle.path / "models" / f"{name}.onnx").read_bytes()
        assert copied == (graphs / "models" / f"{name}.onnx").read_bytes()
    assert "parity.fp32.onnxruntime.member_a.probabilities" in bundle.spec.provenance.metrics
    assert "Largest difference from the same graph in openvino" in " ".join(done.output.split())
    assert "PyTorch" not in done.output
    assert "brought in" in (bundle.path / "card.md").read_text(encoding="utf-8")
    with open_chain(bundle, "onnxruntime") as chain:
        assert chain.process(picture()).status == "ok"


def put(place: str, value: object) -> Callable[[Fields], None]:
    """Set `a.b.c` of the description; numbers are positions in a list."""

    def change(fields: Fields) -> None:
        *way, last = (int(word) if word.isdigit() else word for word in place.split("."))
        at: Any = fields
        for word in way:
            at = at[word]
        at[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("files", {}), "got: files"),
        (put("colour", "blue"), "colour: Extra inputs"),
        (put("models", []), "no `models`"),
        (put("models.member_a", {}), "names no ONNX file"),
        (put("models.member_a.variants.0.file", "none.onnx"), "is not there"),
        (put("models.member_a.variants.0.file", "system.yaml"), "is not an ONNX file"),
        (put("models.member_a.inputs.0.name", "picture"), "other inputs than described"),
        (put("models.member_a.outputs.0.name", "classes"), "other outputs than described"),
        (put("models.member_a.outputs", []), "outputs in the description"),
        (put("models.member_a.inputs.0.preprocess.size", [48, 48]), "has another shape"),
        (put("models.member_a.inputs.0.view", "moon"), "'moon'"),
        (put("classes", ["melanoma", "nevus", "third"]), "has another shape"),
        (put("chain.classify", ["member_c"]), "'member_c'"),
        (put("decision.score", "moles"), "'moles'"),
        (put("intended_use", 3), "intended_use"),
    ],
)
def test_a_wrong_description_is_refused(
    graphs: Path, tmp_path: Path, change: Callable[[Fields], None], said: str
) -> None:
    done = export("--onnx", describe(graphs, change), "--out", tmp_path / "bundle")
    assert done.exit_code in (2, 3), done.output
    assert said in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("text", ["[", "just words", "- a\n- list"])
def test_what_is_no_description(tmp_path: Path, text: str) -> None:
    file = tmp_path / "system.yaml"
    file.write_text(text)
    done = export("--onnx", file, "--out", tmp_path / "bundle")
    assert done.exit_code == 2
    assert "The description" in done.output


def quantised(file: Path) -> None:
    model = onnx.load(str(file))
    nodes, first = model.graph.node, model.graph.node[0]
    scale = numpy_helper.from_array(np.float32(0.01), "scale")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    model.graph.initializer.extend([scale, zero])
    source = first.input[0]
    first.input[0] = "image_dq"
    nodes.insert(0, helper.make_node("QuantizeLinear", [source, "scale", "zero"], ["image_q"]))
    nodes.insert(
        1, helper.make_node("DequantizeLinear", ["image_q", "scale", "zero"], ["image_dq"])
    )
    onnx.save(model, str(file))


def halved(file: Path) -> None:
    onnx.save(member(WEIGHTS["member_a"], half=True), str(file))


@pytest.mark.parametrize(
    ("declared", "made", "held"),
    [("int8", None, "fp32"), ("fp16", None, "fp32"), ("fp32", halved, "fp16"),
     ("int8", halved, "fp16"), ("fp32", quantised, "int8"), ("fp16", quantised, "int8")],
)  # fmt: skip
def test_a_graph_in_another_precision_than_described_is_refused(
    graphs: Path, tmp_path: Path, declared: str, made: Callable[[Path], None] | None, held: str
) -> None:
    if made is not None:
        made(graphs / "models" / "member_a.onnx")
    change = put("models.member_a.variants.0.precision", declared)
    done = export("--onnx", describe(graphs, change), "--out", tmp_path / "bundle")
    assert done.exit_code == 2, done.output
    assert "member_a.onnx is not in the precision" in done.output
    assert f"precision: {held}" in done.output


@pytest.mark.parametrize(("precision", "made"), [("fp16", halved), ("int8", quantised)])
def test_a_graph_in_the_precision_described_is_taken(
    graphs: Path, tmp_path: Path, precision: str, made: Callable[[Path], None]
) -> None:
    made(graphs / "models" / "member_a.onnx")
    change = put("models.member_a.variants.0.precision", precision)
    done = export("--onnx", describe(graphs, change), "--out", tmp_path / "bundle")
    assert done.exit_code == 0, done.output
    (variant,) = load_bundle(tmp_path / "bundle").spec.models["member_a"].variants
    assert variant.precision == precision


def save_apart(file: Path) -> None:
    """Large files come with their weights in a second one; only the first would be copied."""
    model = onnx.load(str(file))
    onnx.save_model(model, str(file), save_as_external_data=True, size_threshold=0, location="w")


def save_half_ends(file: Path) -> None:
    half = helper.make_tensor_value_info("image", TensorProto.FLOAT16, ["batch", 3, 32, 32])
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT16, ["batch", 3, 32, 32])
    node = helper.make_node("Relu", ["image"], ["probabilities"])
    graph = helper.make_graph([node], "half", [half], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(file))


def save_invalid(file: Path) -> None:
    model = onnx.load(str(file))
    model.graph.node[0].input[0] = "nothing"
    onnx.save(model, str(file))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (save_apart, "keeps weights in another file"),
        (save_half_ends, "is not of 32-bit floats"),
        (save_invalid, "is not a valid graph"),
    ],
)
def test_a_graph_that_no_device_could_use_is_refused(
    graphs: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(graphs / "models" / "member_a.onnx")
    change = put("models.member_a.outputs", [{"name": "probabilities", "role": "probabilities"}])
    done = export("--onnx", describe(graphs, change), "--out", tmp_path / "bundle")
    assert done.exit_code == 2, done.output
    assert said in done.output


@pytest.mark.parametrize("option", [["--fold", "0"], ["--precision", "fp16"]])
def test_options_of_runs_do_not_go_with_graphs(
    graphs: Path, tmp_path: Path, option: list[str]
) -> None:
    done = export("--onnx", describe(graphs), "--out", tmp_path / "bundle", *option)
    assert done.exit_code == 2
    assert "are for runs" in done.output


def test_the_example_in_the_help_is_a_description_that_works(tmp_path: Path) -> None:
    text = EPILOG[EPILOG.index("  name: clinic-resnet") :]
    described = "\n".join(line[2:] for line in text.splitlines())
    (tmp_path / "system.yaml").write_text(described, encoding="utf-8")
    ends = {"input": ["batch", 3, 224, 224], "output": ["batch", 2]}
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colour"]),
        helper.make_node("MatMul", ["colour", "weights"], ["output"]),
    ]
    weights = onnx.numpy_helper.from_array(np.ones((3, 2), dtype=np.float32), "weights")
    source, sink = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ends.items()
    )
    graph = helper.make_graph(nodes, "resnet", [source], [sink], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(tmp_path / "resnet.onnx"))
    done = export("--onnx", tmp_path / "system.yaml", "--out", tmp_path / "bundle")
    assert done.exit_code == 0, done.output
