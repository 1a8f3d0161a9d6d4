"""A recipe's system from phantoms to results: trained, exported, in 8 bits, built, run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from calibration.quantize import command as quantize
from export.make_bundle import command as export
from runtime.build import command as build
from runtime.infer import command as infer
from tests.train.tiny import write_data
from train.fit import command as train


def run(command: Any, *words: object) -> str:
    done = CliRunner(catch_exceptions=False).invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def make_system(place: Path, fields: dict[str, Any]) -> None:
    """A data set, a run and a bundle in `place`."""
    (place / "tiny.yaml").write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    write_data(place / "data")
    run(train, "--recipe", place / "tiny.yaml", "--data", place / "data", "--out", place / "run")
    run(export, "--run", place / "run", "--out", place / "bundle")


def images_of(place: Path) -> Path:
    return place / "data" / "ISIC-2017_Training_Data"


def run_in_eight_bits(
    place: Path, monkeypatch: pytest.MonkeyPatch, out: Path, *words: object
) -> list[dict[str, Any]]:
    """Quantised, put through TensorRT-RTX's builder, and the records of a scan with `words`."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'")
    images, eight = images_of(place), out / "bundle8"
    quick = ["--count", 4, "--method", "minmax", "--budget", 1, "--backend", "openvino"]
    run(quantize, "--bundle", place / "bundle", "--images", images, "--out", eight, *quick)
    monkeypatch.setenv("DERMEDGE_CACHE", str(out / "cache"))
    engine = ["--backend", "tensorrt_rtx", "--precision", "int8", "--batch", 4]
    assert "int8" in run(build, "--bundle", eight, *engine)
    asked = ["--folder", images, "--backend", "openvino", "--out", out / "out", *words]
    run(infer, "--bundle", eight, *asked)
    lines = (out / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(list(images.glob("*.jpg")))
    return [json.loads(line) for line in lines]
