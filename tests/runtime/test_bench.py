from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from runtime import bench
from runtime.benchmark import Plan, TimedChain, run_benchmark
from runtime.bundle_files import load_bundle
from runtime.sources import folder
from tests.bundle_factory import add_golden, bundle_fields, make_bundle, picture, purifying


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bench")
    add_golden(make_bundle(place / "bundle"))
    (place / "photos").mkdir()
    for index in range(2):
        cv2.imwrite(str(place / "photos" / f"{index}.png"), picture())
    return place


@pytest.fixture(scope="module")
def report(place: Path) -> dict[str, object]:
    plan = Plan(place / "bundle", list(folder(place / "photos").items), "openvino", runs=6)
    return run_benchmark(plan)


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    else:
        yield value


def test_every_engine_is_measured_in_the_chain_and_alone(report: dict) -> None:
    assert list(report["engines"]) == ["segmenter", "member_a", "member_b", "ensemble"]
    for figures in report["engines"].values():
        assert figures["in_chain_ms"]["runs"] == figures["alone_ms"]["runs"] == 6
    assert report["frames"] == report["chain_ms"]["runs"] == report["frame_ms"]["runs"] == 6


def test_the_parts_add_up_to_the_frame(report: dict) -> None:
    """Nothing is counted twice, and nothing of size is left out."""
    parts = report["outside_engines"]["parts_ms"].values()
    engines, whole = report["all_engines"]["in_chain_ms"]["mean"], report["frame_ms"]["mean"]
    assert sum(part["mean"] for part in parts) + engines <= whole * 1.0001
    shares = report["outside_engines"]
    assert 0 <= shares["share_of_chain"] <= shares["share_of_frame"] <= 1
    assert shares["share_of_frame"] == pytest.approx(1 - engines / whole)


@pytest.mark.parametrize("method", ["model", "classical"])
def test_purification_is_a_part_of_its_own(place: Path, tmp_path: Path, method: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", purifying(bundle_fields(), method))
    items = list(folder(place / "photos").items)
    report = run_benchmark(Plan(bundle.path, items, "openvino", runs=2))
    assert ("purifier" in report["engines"]) == (method == "model")
    assert report["outside_engines"]["parts_ms"]["purify"]["runs"] == 2
    test_the_parts_add_up_to_the_frame(report)


def test_engines_are_busy_as_long_as_all_of_them_ran(place: Path) -> None:
    with TimedChain(load_bundle(place / "bundle"), "openvino", None) as chain:
        spans = {"segmenter": (0, 1), "member_a": (5, 6), "member_b": (6, 8), "ensemble": (9, 10)}
        for name, span in spans.items():
            chain.watches[name].span = span
        assert chain.busy_ms(["member_b", "member_a"]) == pytest.approx(3000)
        assert chain.busy_ms(spans) == pytest.approx(5000)
        assert chain.busy_ms([]) == 0


def test_the_scan_is_compared_over_the_same_frames(report: dict) -> None:
    rate = report["frames_per_second"]
    assert rate["frames"] == 6
    assert rate["share"] == pytest.approx(rate["scan"] / rate["engines_alone"])


def test_all_figures_are_numbers_that_json_has(report: dict) -> None:
    numbers = [leaf for leaf in leaves(report) if isinstance(leaf, float)]
    assert numbers
    assert all(math.isfinite(number) and number >= 0 for number in numbers)
    json.dumps(report, allow_nan=False)


def test_command_writes_its_figures(place: Path) -> None:
    out = place / "new" / "bench.json"
    options = ["--bundle", place / "bundle", "--folder", place / "photos"]
    options += ["--runs", 2, "--backend", "onnxruntime", "--out", out]
    done = CliRunner().invoke(bench.command, [str(option) for option in options])
    assert done.exit_code == 0, done.output
    assert "member_b (fp32, onnxruntime)" in done.stdout
    report = json.loads(out.read_text())
    assert report["schema"] == bench.SCHEMA
    assert report["backend"]["name"] == "onnxruntime"
    assert {"command", "date", "machine"} <= report.keys()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--image", "a.png", "--folder", "b"], "one of them"),
        (["--image", "missing.png", "--runs", "1"], "missing.png"),
        (["--folder", "missing"], "not a folder"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_bad_usage_ends_with_2(place: Path, options: list[str], told: str) -> None:
    done = CliRunner().invoke(bench.command, ["--bundle", str(place / "bundle"), *options])
    assert done.exit_code == 2
    assert told in done.output


def test_a_folder_without_pictures(place: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(bench.command, ["--folder", str(tmp_path)])
    assert done.exit_code == 2
    assert "no pictures" in done.output


def test_figures_of_a_gpu_stand_with_how_they_were_measured() -> None:
    settings = {"graph": False, "transfers": True, "spin_wait": False}
    gpu = {"settings": settings, "steady": False, "host_bound": False}
    lines = bench._on_gpu({"engines": {"deep": {"gpu": gpu}, "mean": {"gpu": None}}})
    assert lines == [
        "GPU figures are of CUDA events: graph off, transfers on, spin-wait off.",
        "GPU times of deep scatter by more than 2.5 %.",
    ]
    assert bench._on_gpu({"engines": {"mean": {"gpu": None}}}) == []


def test_an_engine_that_can_be_timed_on_its_gpu_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime import gpu_timing

    monkeypatch.setattr(gpu_timing, "SECONDS", 0.0)
    times = {"h2dMs": 0.1, "computeMs": 1.0, "d2hMs": 0.1, "enqMs": 0.2}
    with TimedChain(load_bundle(place / "bundle"), "openvino", None) as chain:
        engine = chain.watches["member_a"].engine
        monkeypatch.setattr(engine, "run_timed", lambda feeds: times, raising=False)
        monkeypatch.setattr(engine, "timed_with", {"graph": False}, raising=False)
        figures = gpu_timing.gpu_figures(engine, {})
        assert figures is not None
        assert figures["latencyMs"]["p50"] == pytest.approx(1.2)
        assert gpu_timing.gpu_figures(chain.watches["member_b"].engine, {}) is None
