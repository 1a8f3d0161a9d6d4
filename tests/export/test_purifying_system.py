"""Systems that purify, from phantoms to results: trained, exported, in 8 bits, built, run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from calibration.quantising.record import CalibrationRecord
from calibration.quantize import command as quantize
from export.make_bundle import command as export
from export.system import system_fields
from runtime.build import command as build
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import open_chain
from runtime.infer import command as infer
from tests.bundle_factory import picture
from tests.train.tiny import SIDE, tiny_recipe, write_data
from train.fit import command as train
from train.recipe import Recipe

pytestmark = pytest.mark.slow

METHODS = ("model", "classical")
MODEL = {
    "method": "model", "width": 2, "size": [SIDE, 2 * SIDE],
    "training": {"epochs": 1, "late_epochs": 1, "batch": 4},
}  # fmt: skip
STAGES = ["decode", "segment", "purify", "crop", "classify", "combine", "total"]


def run(command: Any, *words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module", params=METHODS)
def place(request: pytest.FixtureRequest, data: Path, tmp_path_factory: Any) -> Path:
    """A run, and its bundle in 16 bits."""
    place: Path = tmp_path_factory.mktemp(request.param)
    fields = tiny_recipe()
    fields["views"]["lesion"]["source"] = "purified"
    fields["members"] = {"second": fields["members"]["second"]}
    fields["members"]["second"].pop("training")
    fields["ensemble"] = None
    fields["purifier"] = MODEL if request.param == "model" else {"method": "classical"}
    fields["purify_at"] = "always"
    (place / "tiny.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    run(train, "--recipe", place / "tiny.yaml", "--data", data, "--out", place / "run")
    words = ["--run", place / "run", "--out", place / "bundle"]
    run(export, *words, "--precision", "fp16")
    return place


@pytest.fixture(scope="module")
def bundle(place: Path) -> LoadedBundle:
    return load_bundle(place / "bundle")


def has_network(bundle: LoadedBundle) -> bool:
    purify = bundle.spec.chain.purify
    assert purify is not None
    return purify.model is not None


def test_what_the_bundle_holds(place: Path, bundle: LoadedBundle) -> None:
    spec = bundle.spec
    seen = spec.models["second"].image_input()
    assert seen is not None
    assert spec.views[seen.view].source == "purified"
    assert ("purifier" in spec.models) == has_network(bundle)
    card = (place / "bundle" / "card.md").read_text(encoding="utf-8")
    assert "hair and rulers are removed" in card
    assert ("U-Net of partial convolutions, width 2" in card) == has_network(bundle)
    assert (place / "run" / "purified" / "shown" / "sheet.png").is_file()
    if has_network(bundle):
        assert [v.precision for v in spec.models["purifier"].variants] == ["fp16"]
        (output,) = spec.models["purifier"].outputs
        assert (output.name, output.role) == ("picture", "image")


def test_the_same_on_every_engine(bundle: LoadedBundle) -> None:
    said = []
    for backend in ("openvino", "onnxruntime"):
        with open_chain(bundle, backend) as chain:
            analysis = chain.analyse(picture(200, 300))
            # Whether the frame is fit to be judged is left to a segmenter of one epoch.
            assert analysis.combined is not None, analysis.result.reason
            said.append(analysis.combined)
    assert said[0] == pytest.approx(said[1], abs=1e-2)


def test_in_eight_bits_and_built_and_run(
    data: Path, bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    images = data / "ISIC-2017_Training_Data"
    eight = tmp_path / "bundle8"
    words = ["--bundle", bundle.path, "--images", images, "--out", eight, "--count", 4]
    words += ["--method", "minmax", "--budget", 1, "--mask-agreement", 0]
    run(quantize, *words, "--backend", "openvino")
    text = (eight / "calibration.json").read_text(encoding="utf-8")
    record = CalibrationRecord.model_validate_json(text)
    if has_network(bundle):
        assert not record.models["purifier"].quantised
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    words = ["--bundle", eight, "--backend", "tensorrt_rtx", "--precision", "int8"]
    built = run(build, *words)
    assert ("purifier" in built) == has_network(bundle)
    words = ["--bundle", eight, "--folder", images, "--backend", "openvino"]
    run(infer, *words, "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == len(list(images.glob("*.jpg")))
    assert np.isfinite([record["score"] for record in records]).all()
    assert list(records[0]["timing_ms"]) == STAGES


def test_a_purifier_of_training_alone_stays_behind() -> None:
    fields = tiny_recipe() | {"purifier": MODEL, "purify_at": "training"}
    bundle = system_fields(Recipe.model_validate(fields))
    assert bundle["chain"]["purify"] is None
    assert "purifier" not in bundle["models"]
