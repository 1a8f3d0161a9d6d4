"""The comparison with eager PyTorch measures what it says, whatever the figures are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from export.bench_eager import command


@pytest.mark.slow
def test_it_measures_both_chains_in_turns(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    words = ["--run", str(run_folder), "--runs", "3", "--threads", "1", "--out", str(out)]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    networks = ["segmenter", "first", "second", "ensemble"]
    assert list(report["rows"]) == [*networks, "backbones in turn", "whole chain"]
    for kind in ("eager_ms", "openvino_ms"):
        rows = {name: row[kind] for name, row in report["rows"].items()}
        assert rows["whole chain"] > max(rows[name] for name in networks)
    assert all(0 < share < 1 for share in report["share_outside_engines"].values())
    assert list(report["gflop"]) == networks
    assert report["gflop"]["segmenter"] > report["gflop"]["ensemble"] > 0
    assert report["matrix_product_gflops"] > 0
    assert report["weights"] == "trained"
    assert report["versions"].keys() == {"dermedge", "torch", "openvino"}


@pytest.mark.parametrize("words", [[], ["--recipe", "ding", "--run", "run"]])
def test_it_asks_for_one_thing_to_measure(words: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "Name what to measure" in done.output
