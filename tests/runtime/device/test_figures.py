"""What `dermedge bench` prints of a GPU: that it is all there, and means what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime import bench
from runtime.bundle_files import LoadedBundle
from runtime.device.figures import device_figures, longest_way
from runtime.device.figures_table import device_sentences
from tests.bundle_factory import make_bundle, picture
from tests.runtime.device.simulated_gpu import SimulatedGpu
from tests.runtime.device.simulated_trt import write_plans

pytest.importorskip("onnxruntime")


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return make_bundle(tmp_path / "bundle")


def test_everything_is_measured(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    write_plans(bundle)
    write_plans(bundle, batch=2)
    shares: list[float] = []
    found = device_figures(bundle, "tensorrt", None, picture(), 0.01, shares.append)
    json.dumps(found)
    assert list(found["modes"]) == ["graph", "enqueue", "staged"]
    assert found["refused"] == {}
    assert list(found["engines"]) == ["segmenter", "member_a", "member_b", "ensemble"]
    assert found["sum_ms"] == sum(row["p50"] for row in found["engines"].values())
    assert found["batch"]["frames_at_once"] == 2
    assert found["batch"]["mode"] == "graph"
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert gpu.memory == {}


def test_a_way_that_is_refused_is_named(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    write_plans(bundle)
    gpu.refuse.add("cuGraphInstantiate")
    found = device_figures(bundle, "tensorrt", None, picture(), 0.01)
    assert list(found["modes"]) == ["enqueue", "staged"]
    assert any(line.startswith("Not as graph: ") for line in device_sentences(found))


def test_only_in_stages(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    write_plans(bundle)
    gpu.refuse.add("wait_for_event")
    found = device_figures(bundle, "tensorrt", None, picture(), 0.01)
    assert list(found["modes"]) == ["staged"]
    assert len(device_sentences(found)) == 6


def test_the_limit_is_the_longest_way(bundle: LoadedBundle) -> None:
    spec = bundle.spec
    ms = {"segmenter": 5.0, "member_a": 2.0, "member_b": 4.0, "ensemble": 1.0}
    assert longest_way(spec, lambda name: True, ms) == (10.0, "member_b")
    beside = longest_way(spec, lambda name: name == "member_a", ms)
    assert beside == (8.0, "member_a")  # member_b ran beside the segmentation
    ms["member_b"] = 9.0
    assert longest_way(spec, lambda name: name == "member_a", ms) == (10.0, "member_b")


def test_bench_prints_them(gpu: SimulatedGpu, bundle: LoadedBundle, tmp_path: Path) -> None:
    write_plans(bundle)
    out = tmp_path / "bench.json"
    words = ["--bundle", str(bundle.path), "--backend", "tensorrt", "--runs", "2"]
    done = CliRunner().invoke(bench.command, [*words, "--seconds", "0.01", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "chain as graph" in done.output
    assert "times that (" in " ".join(done.output.split())
    assert json.loads(out.read_text())["device"]["gpu"] == "Orin"
