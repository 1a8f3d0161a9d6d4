"""`dermedge quantize` from end to end, on small networks that are really quantised."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from calibration.quantising import ranges
from calibration.quantising.record import CalibrationRecord
from calibration.quantize import METHODS, command
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.chain import open_chain
from tests.bundle_factory import make_bundle, picture
from tests.calibration.quantising.conv_bundle import (
    MEMBERS,
    OTHER,
    PLAIN,
    make_conv_bundle,
    write_images,
)


def quantize(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def record_of(bundle: LoadedBundle) -> CalibrationRecord:
    text = (bundle.path / "calibration.json").read_text(encoding="utf-8")
    return CalibrationRecord.model_validate_json(text)


def test_the_command_offers_every_method() -> None:
    """They are written there a second time, so that --help need not load NumPy and ONNX."""
    assert ("auto", *ranges.METHODS) == METHODS


def graph_of(bundle: LoadedBundle, name: str) -> onnx.ModelProto:
    return onnx.load(str(bundle.path / "models" / f"{name}.int8.onnx"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "photos")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """In float, with one member that has a fragile block."""
    return make_conv_bundle(tmp_path_factory.mktemp("float") / "B", fragile=True)


@pytest.fixture(scope="session")
def done(source: LoadedBundle, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    out = tmp_path_factory.mktemp("int8") / "B8"
    result = quantize(
        "--bundle", source.path, "--images", images, "--out", out, "--count", 5,
        "--method", "minmax", "--budget", 0.02, "--backend", "openvino",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result.folder = out  # type: ignore[attr-defined]
    return result


@pytest.fixture(scope="session")
def made(done: Result) -> LoadedBundle:
    return load_bundle(done.folder)  # type: ignore[attr-defined]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_it_judges_much_as_before_in_every_engine(
    source: LoadedBundle, made: LoadedBundle, backend: str
) -> None:
    with open_chain(source, backend) as before, open_chain(made, backend) as after:
        scores = [chain.process(picture()).score for chain in (before, after)]
    assert None not in scores
    assert scores[0] == pytest.approx(scores[1], abs=0.1)


def test_the_float_file_stays_behind_the_int8_one(made: LoadedBundle) -> None:
    for name in ("segmenter", *MEMBERS):
        first, second = made.spec.models[name].variants
        assert (first.precision, second.precision) == ("int8", "fp32")
        assert second.backends == ()
        assert "onnxruntime" not in first.backends or not first.backends


def test_the_ensemble_is_untouched(source: LoadedBundle, made: LoadedBundle) -> None:
    assert made.spec.models["ensemble"] == source.spec.models["ensemble"]
    record = record_of(made)
    assert not record.models["ensemble"].quantised
    assert record.chain is not None
    assert record.chain.images == record.chain.decisions == 5


def test_images_are_listed_with_their_hashes(made: LoadedBundle, images: Path) -> None:
    listed = {image.name: image.sha256 for image in record_of(made).images}
    assert len(listed) == 5
    for name, sha256 in listed.items():
        assert sha256 == hashlib.sha256((images / name).read_bytes()).hexdigest()
    assert {"calibration.json", "sensitivity.csv", "sensitivity.png"} <= made.spec.files.keys()


@pytest.mark.parametrize("name", ["segmenter", *MEMBERS])
def test_q_dq_is_what_tensorrt_takes(made: LoadedBundle, name: str) -> None:
    model = graph_of(made, name)
    onnx.checker.check_model(model, full_check=True)
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
        assert (scale > 0).all()
        weight = constants.get(node.input[0])
        if weight is not None:
            assert weight.dtype == np.int8
            assert scale.shape == (weight.shape[0],), "one scale an output channel"
            assert weight.min() >= -127
        else:
            assert scale.shape == (), "one scale for an activation"
    weighted = [n for n in model.graph.node if n.op_type == "Conv"]
    assert all(len(n.input) < 3 or n.input[2] in constants for n in weighted), "biases stay"


def test_a_block_that_costs_too_much_stays_in_16_bits(made: LoadedBundle) -> None:
    record = record_of(made)
    fragile = {group.name: group for group in record.models[OTHER].groups}
    assert fragile["blocks.1.conv"].precision == "fp16"
    assert fragile["blocks.1.conv"].loss.mean > 0.02
    assert {group.precision for group in record.models[PLAIN].groups} == {"int8"}
    model = record.models[OTHER]
    assert model.loss is not None
    assert model.loss.mean <= 0.02 < model.methods["minmax"].mean
    weights = {item.name for item in graph_of(made, OTHER).graph.initializer}
    assert "net.blocks.2.conv.weight.half.int8" in weights
    assert "net.blocks.1.conv.weight.half.int8" not in weights


def test_only_the_shortcut_of_a_sum_is_quantised(made: LoadedBundle) -> None:
    graph = graph_of(made, PLAIN).graph
    (add,) = (node for node in graph.node if node.op_type == "Add")
    assert [name.endswith(".dq") for name in add.input] == [False, True]


def test_the_self_test_and_the_card_know_of_it(made: LoadedBundle, done: Result) -> None:
    assert all("int8" in case.tolerance for case in made.spec.golden)
    card = (made.path / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny 1\n\nA card.\n\n## Precision\n")
    assert "decisions change" in card
    assert made.spec.version == "1-int8"
    assert made.spec.provenance.revision == "unknown"
    assert "int8.loss.segmenter" in made.spec.provenance.metrics
    assert "int8 ÷ float" in done.output
    assert "Written to" in done.output


def test_the_table_has_every_group(made: LoadedBundle) -> None:
    lines = (made.path / "sensitivity.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "model,group,layers,measure,mean,worst,precision"
    groups = sum(len(model.groups) for model in record_of(made).models.values())
    assert len(lines) == 1 + groups


def test_auto_keeps_the_best_from_16_bit_files(tmp_path: Path, images: Path) -> None:
    source = make_conv_bundle(tmp_path / "B", half=True)
    before = {file: (source.path / file).read_bytes() for file in source.spec.files}
    result = quantize(
        "--bundle", source.path, "--images", images, "--out", tmp_path / "B8",
        "--models", PLAIN, "--backend", "openvino",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    made = load_bundle(tmp_path / "B8")
    model = record_of(made).models[PLAIN]
    assert model.methods.keys() == {"entropy", "percentile", "minmax"}
    assert model.method is not None
    best = min(loss.mean for loss in model.methods.values())
    assert model.methods[model.method].mean == best
    assert [v.precision for v in made.spec.models[PLAIN].variants] == ["int8", "fp16"]
    assert [v.precision for v in made.spec.models[OTHER].variants] == ["fp16"]
    assert before == {file: (source.path / file).read_bytes() for file in source.spec.files}


def test_unreadable_images_are_counted_and_passed_over(
    tmp_path: Path, source: LoadedBundle, images: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(images, folder)
    (folder / "broken.jpg").write_bytes(b"no picture")
    result = quantize(
        "--bundle", source.path, "--images", folder, "--out", tmp_path / "B8",
        "--models", PLAIN, "--method", "minmax", "--backend", "openvino",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Note: 1 image could not be used" in result.output
    record = record_of(load_bundle(tmp_path / "B8"))
    assert len(record.images) == 6
    assert record.unreadable[0].startswith("broken.jpg: ")


Arguments = dict[str, Any]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    source: LoadedBundle,
    made: LoadedBundle,
    images: Path,
) -> Path:
    """All that the refused commands name; none of them may change it."""
    folder = tmp_path_factory.mktemp("refusals")
    for name, origin in (("B", source.path), ("int8", made.path), ("photos", images)):
        shutil.copytree(origin, folder / name)
    make_bundle(folder / "flat")
    (folder / "empty").mkdir()
    (folder / "junk").mkdir()
    (folder / "junk" / "a.png").write_bytes(b"junk")
    return folder


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"--images": "empty"}, 2, "There are no images in"),
        ({"--images": "nowhere"}, 2, "is not a folder"),
        ({"--images": "junk"}, 2, "None of the images can be used"),
        ({"--out": "B"}, 2, "cannot take the place of the one it is made from"),
        ({"--out": "B/inside"}, 2, "cannot take the place"),
        ({"--out": "photos"}, 2, "is not a bundle that may be replaced"),
        ({"--models": "ensemble"}, 2, "'ensemble' is no model that can be quantised"),
        ({"--backend": "warp"}, 2, "There is no backend 'warp'"),
        ({"--bundle": "nowhere"}, 3, "is not a bundle"),
        ({"--bundle": "flat"}, 3, "it has no layer that 8 bits would speed up"),
        ({"--bundle": "int8"}, 3, "quantised already"),
    ],
)
def test_what_it_refuses(place: Path, change: Arguments, code: int, said: str) -> None:
    given = {"--bundle": "B", "--images": "photos", "--out": "B8"} | change
    names = ("--bundle", "--images", "--out")
    words = [w for k, v in given.items() for w in (k, place / v if k in names else v)]
    result = quantize(*words)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert not (place / "B8").exists()
    load_bundle(place / "B")


def test_no_budget_at_all_is_refused_with_what_to_do(
    tmp_path: Path, source: LoadedBundle, images: Path
) -> None:
    result = quantize(
        "--bundle", source.path, "--images", images, "--out", tmp_path / "B8",
        "--models", OTHER, "--method", "minmax", "--budget", 0, "--backend", "openvino",
    )  # fmt: skip
    assert result.exit_code == 3
    assert "stays within its budget" in result.output
    assert "a larger --budget" in result.output


def test_the_record_refuses_what_it_does_not_know(made: LoadedBundle) -> None:
    fields = json.loads((made.path / "calibration.json").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="mood"):
        CalibrationRecord.model_validate({**fields, "mood": "good"})


def test_of_a_data_set_photographs_are_taken_and_held_out_ids_are_not(tmp_path: Path) -> None:
    """Masks and superpixels lie beside them; ids need not be names of files, nor names unique."""
    pictures = write_images(tmp_path / "data", 4)
    (pictures / "mask.png").write_bytes((pictures / "image0.png").read_bytes())
    (pictures / "more").mkdir()
    (pictures / "image3.png").rename(pictures / "more" / "image0.png")
    files = ["image0.png", "image1.png", "image2.png", "more/image0.png"]
    rows = [f"{file},case-{n},nevus" for n, file in enumerate(files)]
    (pictures / "labels.csv").write_text(
        "\n".join(["image,id,label", *rows]) + "\n", encoding="utf-8"
    )
    bundle = make_conv_bundle(tmp_path / "B", half=True)
    fields = fields_of(bundle)
    fields["provenance"] |= {"fold": 0, "held_out": ["case-2"]}
    seal(bundle.path, fields)
    done = quantize(
        "--bundle", bundle.path, "--images", pictures, "--out", tmp_path / "B8",
        "--method", "minmax", "--backend", "openvino", "--budget", 1, "--mask-agreement", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "1 image left out: this fold's bundle" in done.output
    names = {image.name for image in record_of(load_bundle(tmp_path / "B8")).images}
    assert names == {"case-0", "case-1", "case-3"}
