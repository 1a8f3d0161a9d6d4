from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import machine

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni amx_int8

processor\t: 1
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni amx_int8
"""
ORIN = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\n"


def test_processor_of_a_server() -> None:
    name, flags = machine.parse_cpuinfo(XEON)
    assert name == "Intel(R) Xeon(R) Processor"
    assert flags == ["avx2", "avx512f", "avx512_vnni", "amx_int8"]


def test_processor_of_a_board_has_features_and_no_name() -> None:
    name, flags = machine.parse_cpuinfo(ORIN)
    assert name
    assert flags == ["asimddp"]


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64", "36.4.3"),
        ("# R35 (release), REVISION: 3.1, GCID: 1, BOARD: t186ref", "35.3.1"),
        ("", None),
        ("# something else", None),
    ],
)
def test_release_of_a_jetson(text: str, release: str | None) -> None:
    assert machine.parse_tegra_release(text) == release


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    machine.parse_cpuinfo(text)
    machine.parse_tegra_release(text)


def test_a_jetson_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1",
        "/proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
    }
    monkeypatch.setattr(machine, "_text", lambda path: files.get(path, ""))
    expected = {"board": "NVIDIA Jetson Orin Nano", "l4t": "36.4.3", "jetpack": "6"}
    assert machine.jetson() == expected


def test_facts_are_plain_json() -> None:
    facts = machine.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert {"system", "python", "cpu", "cores", "memory_mib"} <= facts.keys()


def test_without_a_driver_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(machine.ctypes, "CDLL", no_library)
    with pytest.raises(OSError, match="cannot open"):
        machine.gpus()
    assert "gpus" not in machine.facts()


def test_a_driver_that_refuses_is_not_taken_for_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        @staticmethod
        def cuInit(flags: int) -> int:
            return 999

    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: Driver())
    with pytest.raises(OSError, match=r"cuInit .*999"):
        machine.gpus()


class OneGpu:
    """The driver's calls, answering for one GPU through the pointers they are given."""

    def cuInit(self, flags: int) -> int:
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12060
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = 1
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = b"Orin"
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = 8 << 30
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        value._obj.value = {75: 8, 76: 7}[attribute]
        return 0


def test_what_the_driver_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: OneGpu())
    assert machine.gpus() == [machine.Gpu("Orin", "8.7", 8192, "12.6")]
    assert machine.facts()["gpus"] == ["Orin"]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DERMEDGE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine.cache_folder() == tmp_path / "dermedge"
    monkeypatch.setenv("DERMEDGE_CACHE", str(tmp_path / "mine"))
    assert machine.cache_folder() == tmp_path / "mine"


@pytest.mark.gpu
def test_the_driver_names_its_gpus() -> None:
    try:
        found = machine.gpus()
    except OSError as exc:
        pytest.skip(f"needs an NVIDIA GPU: {exc}")
    assert found
    assert all(gpu.memory_mib > 0 and "." in gpu.capability for gpu in found)
