"""The comparison with eager PyTorch measures what it says, whatever the figures are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from calibration.quantize import command as quantize
from export.bench_eager import command
from tests.bundle_factory import make_bundle
from tests.calibration.quantising.conv_bundle import write_images

KINDS = ("eager PyTorch", "OpenVINO fp32", "OpenVINO int8")


def quantised(bundle: Path, folder: Path) -> Path:
    images, out = write_images(folder / "pictures", 2), folder / "B8"
    words = ["--bundle", bundle, "--images", images, "--out", out, "--method", "minmax"]
    words += ["--budget", 1, "--mask-agreement", 0, "--backend", "openvino"]
    done = CliRunner().invoke(quantize, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.slow
def test_it_measures_both_chains_in_turns(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    words = ["--run", str(run_folder), "--threads", "1"]
    kept = CliRunner().invoke(command, [*words, "--runs", "1", "--keep", str(tmp_path / "B")])
    assert kept.exit_code == 0, kept.output
    assert "int8" not in kept.output
    eight = quantised(tmp_path / "B", tmp_path)
    words += ["--runs", "3", "--int8", str(eight), "--out", str(out)]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    networks = ["segmenter", "first", "second", "ensemble"]
    assert list(report["median_ms"]) == [*networks, "backbones in turn", "whole chain"]
    for kind in KINDS:
        rows = {name: row[kind] for name, row in report["median_ms"].items()}
        assert rows["whole chain"] > max(rows[name] for name in networks)
    assert [(r["of"], r["to"]) for r in report["ratios"]] == [
        ("OpenVINO fp32", "eager PyTorch"),
        ("OpenVINO int8", "OpenVINO fp32"),
        ("OpenVINO int8", "eager PyTorch"),
    ]
    assert "target 1.8" in done.output
    assert all(0 < share < 1 for share in report["share_outside_engines"].values())
    assert list(report["gflop"]) == networks
    assert report["gflop"]["segmenter"] > report["gflop"]["ensemble"] > 0
    assert report["matrix_product_gflops"] > 0
    assert report["weights"] == "trained"
    assert report["versions"].keys() == {"dermedge", "torch", "openvino"}


def test_another_system_in_8_bits_is_refused(tmp_path: Path) -> None:
    other = str(make_bundle(tmp_path / "other").path)
    done = CliRunner().invoke(command, ["--recipe", "demo", "--runs", "1", "--int8", other])
    assert done.exit_code == 2
    assert "is not the same system in 8 bits" in done.output


@pytest.mark.parametrize("words", [[], ["--recipe", "ding", "--run", "run"]])
def test_it_asks_for_one_thing_to_measure(words: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "Name what to measure" in done.output
