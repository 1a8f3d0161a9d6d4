"""ZooME from phantoms to results: trained, exported, in 8 bits, built, run, told of the patient."""

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
from tests.bundle_factory import picture
from tests.train.test_recipe import zoome
from tests.train.tiny import write_data
from train.fit import command as train

pytestmark = pytest.mark.slow

SEX = {"kind": "category", "name": "sex", "categories": ["female", "male"]}


def run(command: Any, *words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run and a bundle."""
    place = tmp_path_factory.mktemp("zoome")
    fields = zoome()
    fields["metadata"]["fields"].append(SEX)
    fields["training"] |= {"focal": {}, "augmentation": {"crop": 0.2, "rotate": 30, "mirror": True}}
    (place / "tiny.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    write_data(place / "data")
    run(train, "--recipe", place / "tiny.yaml", "--data", place / "data", "--out", place / "run")
    run(export, "--run", place / "run", "--out", place / "bundle")
    return place


@pytest.fixture(scope="module")
def bundle(place: Path) -> LoadedBundle:
    return load_bundle(place / "bundle")


def test_it_is_one_network_and_no_more(place: Path, bundle: LoadedBundle) -> None:
    spec = bundle.spec
    assert list(spec.models) == ["zoome"]
    assert (spec.chain.segment, spec.chain.combine, spec.chain.explain) == (None, None, None)
    assert [item.kind for item in spec.models["zoome"].inputs] == ["image", "metadata"]
    assert [field.name for field in spec.chain.metadata.fields] == ["age", "sex"]
    assert "Zoom-SE, metadata" in (place / "bundle" / "card.md").read_text(encoding="utf-8")
    with (place / "run" / "oof.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == {"melanoma", "benign"}
    assert all(row["p.melanoma"] == row["members.zoome.melanoma"] for row in rows)


def test_what_is_known_of_the_patient_counts(bundle: LoadedBundle) -> None:
    """Unknown is a value of its own, and no value that the bundle was not told of is taken."""
    with open_chain(bundle, "onnxruntime") as chain:
        scores = {
            name: chain.process(picture(), row).score
            for name, row in {
                "young": {"age": 20, "sex": "female"},
                "old": {"age": 80, "sex": "female"},
                "unknown": {},
            }.items()
        }
        assert len(set(scores.values())) == 3
        refused = chain.process(picture(), {"sex": "other"})
    assert refused.status == "error"
    assert "female, male" in (refused.reason or "")


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
    with (tmp_path / "patients.csv").open("w", encoding="utf-8") as file:
        file.write("source,age,sex\n")
        file.writelines(f"{image.name},{60},female\n" for image in images.glob("*.jpg"))
    words = ["--bundle", eight, "--folder", images, "--metadata", tmp_path / "patients.csv"]
    run(infer, *words, "--backend", "openvino", "--out", tmp_path / "out")
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == len(list(images.glob("*.jpg")))
    assert all(record["metadata"]["age"] == 60 for record in records)
    assert np.isfinite([record["score"] for record in records]).all()
