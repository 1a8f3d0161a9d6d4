"""`dermedge finetune` from end to end, on small networks that are really quantised and trained."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from calibration.quantising.record import CalibrationRecord, read_record
from calibration.quantize import command as quantize
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.chain import open_chain
from tests.calibration.quantising.conv_bundle import make_conv_bundle, write_images
from tests.float_demo import make_float_demo
from train.finetune import command
from train.phantoms import write_phantoms

NETWORK = "whole"  # one that 8 bits hurt


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "out"
    write_phantoms(folder, count=40, size=256, seed=3)
    return folder


@pytest.fixture(scope="module")
def images(data: Path) -> Path:
    return data / "ISIC-2017_Training_Data"


@pytest.fixture(scope="module")
def held_out(images: Path) -> str:
    return sorted(images.rglob("*.jpg"))[7].stem


@pytest.fixture(scope="module")
def quantised(data: Path, held_out: str, tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    """A fold's bundle with one network in 8 bits, first layers and all."""
    folder = tmp_path_factory.mktemp("quantised")
    make_float_demo(folder / "B", 0.5, fold=0, held_out=[held_out])
    words = ["--bundle", folder / "B", "--images", data, "--out", folder / "B8"]
    words += ["--count", 6, "--method", "minmax", "--backend", "openvino", "--budget", 1]
    done = CliRunner().invoke(quantize, [*map(str, words), "--models", NETWORK])
    assert done.exit_code == 0, done.output
    assert "1 image left out: this fold's bundle" in done.output
    return load_bundle(folder / "B8")


def finetune(bundle: LoadedBundle, images: Path, out: Path, *more: object) -> Result:
    words = ["--bundle", bundle.path, "--images", images, "--out", out, "--batch", 8, *more]
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="module")
def tuned(quantised: LoadedBundle, images: Path) -> LoadedBundle:
    out = quantised.path.parent / "B8T"
    result = finetune(quantised, images, out, "--passes", 6, "--rate", 1e-5)
    assert result.exit_code == 0, result.output
    assert "Not judged yet" in result.output
    return load_bundle(out)


def record_of(bundle: LoadedBundle) -> CalibrationRecord:
    record = read_record(bundle)
    assert record is not None
    return record


def test_losses_are_measured_on_images_that_were_not_learned_from(
    tuned: LoadedBundle, images: Path, held_out: str
) -> None:
    record = record_of(tuned)
    assert record.tuning is not None
    assert record.tuning.held_out == 1
    trained = {image.name for image in record.tuning.images}
    judged = {image.name for image in record.tuning.judged_on}
    there = {file.name for file in images.glob("*.jpg")}
    assert trained | judged == there - {f"{held_out}.jpg"}
    assert not trained & judged
    assert len(judged) == len(there) // 10
    assert record.chain is not None
    assert record.chain.images == len(judged)
    assert {image.sha256 for image in record.tuning.images} < record.images_used
    calibrated = {image.sha256 for image in record.images}
    assert calibrated & {image.sha256 for image in record.tuning.images}
    # Ranges and method were chosen on those.
    assert not calibrated & {image.sha256 for image in record.tuning.judged_on}


def test_the_network_says_more_nearly_what_the_float_one_says(tuned: LoadedBundle) -> None:
    model = record_of(tuned).models[NETWORK]
    assert model.loss is not None
    assert model.loss_before_tuning is not None
    assert model.loss.mean < 0.5 * model.loss_before_tuning.mean


def test_only_weights_of_the_8_bit_file_change(
    quantised: LoadedBundle, tuned: LoadedBundle
) -> None:
    file = f"models/{NETWORK}.int8.onnx"
    graphs = {name for name in tuned.spec.files if name.endswith(".onnx")}
    assert {n for n in graphs if tuned.spec.files[n] != quantised.spec.files[n]} == {file}
    before, after = (onnx.load(str(bundle.path / file)) for bundle in (quantised, tuned))
    assert before.graph.node == after.graph.node
    for one, other in zip(before.graph.initializer, after.graph.initializer, strict=True):
        assert one.name == other.name
        if one.name.endswith((".scale", ".zero")):
            assert one == other


def test_it_is_a_bundle_like_any_other(quantised: LoadedBundle, tuned: LoadedBundle) -> None:
    assert tuned.spec.version == f"{quantised.spec.version}-tuned"
    assert tuned.spec.gate.result is None
    assert tuned.spec.golden
    open_chain(tuned, "openvino").close()  # with its self-test
    card = (tuned.path / "card.md").read_text(encoding="utf-8")
    assert card.count("## Precision") == 1
    assert "Fine-tuned afterwards on" in card


def test_where_nothing_gets_better_nothing_is_written(
    quantised: LoadedBundle, images: Path, tmp_path: Path
) -> None:
    result = finetune(quantised, images, tmp_path / "out", "--rate", 0)
    assert result.exit_code == 3
    assert "made no network better" in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_it_cannot_take_is_refused_with_a_remedy(
    quantised: LoadedBundle, tuned: LoadedBundle, images: Path, tmp_path: Path
) -> None:
    plain = make_conv_bundle(tmp_path / "plain")
    assert "dermedge quantize" in finetune(plain, images, tmp_path / "o").stderr
    assert "fine-tuned already" in finetune(tuned, images, tmp_path / "o").stderr
    few = write_images(tmp_path / "few", 5)
    assert "too few images" in finetune(quantised, few, tmp_path / "o").stderr
    unknown = finetune(quantised, images, tmp_path / "o", "--models", "ensemble")
    assert "'ensemble' is no model in 8 bits" in unknown.stderr
    assert "cannot take the place" in finetune(quantised, images, quantised.path).stderr


def test_a_record_that_is_not_quantizes_own_is_refused(
    quantised: LoadedBundle, images: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in quantised.spec.files:
        (broken / file).parent.mkdir(parents=True, exist_ok=True)
        (broken / file).write_bytes((quantised.path / file).read_bytes())
    fields = fields_of(quantised)
    record = json.loads((broken / "calibration.json").read_text(encoding="utf-8"))
    del record["models"]
    (broken / "calibration.json").write_text(json.dumps(record), encoding="utf-8")
    result = finetune(seal(broken, fields), images, tmp_path / "o")
    assert result.exit_code == 3
    assert "models" in result.stderr
