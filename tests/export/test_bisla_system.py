"""Bisla's system from phantoms to results: seven channels, made pictures, a heat map."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from calibration.quantize import command as quantize
from export.make_bundle import command as export
from runtime.build import command as build
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.chain import open_chain
from runtime.infer import command as infer
from runtime.preprocess import to_tensor
from tests.bundle_factory import picture
from tests.train.test_bisla import bisla
from tests.train.tiny import write_data
from train.fit import command as train

pytestmark = pytest.mark.slow

CHANNELS = 7


def run(command: Any, *words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run and a bundle."""
    place = tmp_path_factory.mktemp("bisla")
    (place / "tiny.yaml").write_text(yaml.safe_dump(bisla()), encoding="utf-8")
    write_data(place / "data")
    run(train, "--recipe", place / "tiny.yaml", "--data", place / "data", "--out", place / "run")
    run(export, "--run", place / "run", "--out", place / "bundle")
    return place


@pytest.fixture(scope="module")
def bundle(place: Path) -> LoadedBundle:
    return load_bundle(place / "bundle")


def test_the_generators_stay_behind(place: Path, bundle: LoadedBundle) -> None:
    """What they made is in the run, to be looked at; a bundle has no use for it."""
    made = place / "run" / "synthetic"
    for part in ("0", "1", "final"):
        assert np.load(made / part / "pictures" / "pictures.npy").shape == (5, 32, 32, 3)
        assert list((made / part / "gan-melanoma" / "samples").glob("*.png"))
        with (made / part / "pictures" / "nearest.csv").open(encoding="utf-8") as text:
            assert all(float(row["mse"]) > 0 for row in csv.DictReader(text))
    assert set(bundle.spec.models) == {"segmenter", "resnet", "resnet_heatmap"}
    card = (place / "bundle" / "card.md").read_text(encoding="utf-8")
    assert "beside the data: 3 of melanoma, 2 of seborrheic_keratosis" in card


def test_the_segmenter_takes_seven_channels(place: Path, bundle: LoadedBundle) -> None:
    (image,) = bundle.spec.models["segmenter"].inputs
    assert image.preprocess.colour == "rgb_hsv_l"
    assert to_tensor(picture(), image.preprocess).shape == (1, CHANNELS, 228, 228)
    card = (place / "bundle" / "card.md").read_text(encoding="utf-8")
    assert "U-Net, dilated, width 2" in card
    assert "228×228×7" in card


def test_a_network_without_se_is_seen_through(bundle: LoadedBundle) -> None:
    with open_chain(bundle, "onnxruntime") as chain:
        analysis = chain.analyse(picture(), {})
        assert sum(analysis.combined.values()) == pytest.approx(1, abs=1e-5)
        heat = chain.explain(picture(), analysis.lesion)
    assert heat.shape == picture().shape[:2]
    assert float(heat.max()) == pytest.approx(1)
    assert float(np.std(heat)) > 0.01, "some places more than others"


def test_in_eight_bits_and_built(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    images = place / "data" / "ISIC-2017_Training_Data"
    eight = tmp_path / "bundle8"
    words = ["--bundle", place / "bundle", "--images", images, "--out", eight, "--count", 4]
    run(quantize, *words, "--method", "minmax", "--budget", 1, "--backend", "openvino")
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))
    words = ["--bundle", eight, "--backend", "tensorrt_rtx", "--precision", "int8"]
    assert "int8" in run(build, *words, "--batch", 4)
    words = ["--bundle", eight, "--folder", images, "--explain"]
    run(infer, *words, "--backend", "openvino", "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == len(list(images.glob("*.jpg")))
    assert {record["status"] for record in records} <= {"ok", "abstained", "rejected"}
