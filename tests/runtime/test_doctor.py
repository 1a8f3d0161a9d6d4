from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime import demo, diagnosis, doctor, machine
from runtime.backends import registry
from runtime.diagnosis import Finding, examine, summary, usable_backends
from tests.bundle_factory import add_golden, make_bundle


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return add_golden(make_bundle(tmp_path / "bundle")).path


def by_name(findings: list[Finding], area: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings if finding.area == area}


def test_a_machine_with_an_engine_is_ready(bundle: Path) -> None:
    findings = list(examine(bundle))
    assert by_name(findings, "self-test")["openvino"].state == "ok"
    assert "openvino" in usable_backends(findings)
    assert "openvino" in summary(findings)


def test_what_is_absent_or_broken_says_what_to_do(bundle: Path) -> None:
    for finding in examine(bundle):
        assert finding.state == "ok" or finding.remedy, finding


def test_a_damaged_bundle_is_found_and_leaves_the_engines_usable(bundle: Path) -> None:
    (bundle / "models" / "member_a.onnx").write_bytes(b"damaged")
    findings = list(examine(bundle))
    assert by_name(findings, "self-test")["demo bundle"].state == "broken"
    assert "openvino" in usable_backends(findings)
    assert "demo bundle" in summary(findings)


def test_an_engine_that_computes_something_else_is_not_usable(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = registry.Row("runtime.backends.fake", "FakeEngine")  # its results mean nothing
    monkeypatch.setitem(registry.BACKENDS, "openvino", row)
    findings = list(examine(bundle))
    assert by_name(findings, "self-test")["openvino"].state == "broken"
    assert "openvino" not in usable_backends(findings)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "file" / "cache"))
    assert by_name(list(examine(tmp_path)), "machine")["cache"].state == "broken"


@pytest.mark.parametrize(
    ("raised", "state", "found"),
    [
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "absent", "not installed"),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), "broken", "numpy"),
        (ImportError("libGL.so.1: cannot open shared object file"), "broken", "libGL.so.1"),
        (AttributeError("_ARRAY_API not found"), "broken", "_ARRAY_API"),
    ],
)
def test_missing_and_broken_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, state: str, found: str
) -> None:
    def fail(name: str) -> None:
        raise raised

    monkeypatch.setattr(diagnosis, "import_module", fail)
    finding = diagnosis._library("pictures", "OpenCV", "cv2", "pip install it")
    assert finding.state == state
    assert found in finding.found
    assert finding.remedy


def test_on_a_jetson_the_wheel_of_opencv_is_the_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    board = {"board": "NVIDIA Jetson Orin Nano", "l4t": "36.4.3", "jetpack": "6"}
    monkeypatch.setattr(machine, "jetson", lambda: board)
    streams = {finding.what: finding for finding in diagnosis._pictures()}["GStreamer"]
    assert streams.state == "ok" or "uninstall opencv-python" in str(streams.remedy)


def test_command(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "BUNDLE", bundle)
    done = CliRunner().invoke(doctor.command, [])
    assert done.exit_code == 0
    assert "Ready to run bundles" in done.output


def test_command_as_json() -> None:
    done = CliRunner().invoke(doctor.command, ["--json"])
    report = json.loads(done.stdout)
    assert report["usable_backends"]
    assert {"area", "what", "state", "found", "remedy"} == report["findings"][0].keys()
    assert report["machine"]["python"].startswith(f"{sys.version_info.major}.")


def test_without_any_engine_the_exit_code_is_4(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    done = CliRunner().invoke(doctor.command, [])
    assert done.exit_code == 4
    assert "pip install 'dermedge[cpu]'" in done.output
