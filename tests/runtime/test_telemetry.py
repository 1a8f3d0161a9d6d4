"""Heat and power, as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime import telemetry


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_temperatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "ZONES", tmp_path)
    assert telemetry.temperatures() == {}
    write(tmp_path / "thermal_zone0" / "type", "cpu-thermal")
    write(tmp_path / "thermal_zone0" / "temp", "48500")
    write(tmp_path / "thermal_zone1" / "type", "gpu-thermal")
    write(tmp_path / "thermal_zone1" / "temp", "-256000")  # as a Jetson says of what sleeps
    write(tmp_path / "thermal_zone2" / "type", "torn")
    assert telemetry.temperatures() == {"cpu-thermal": 48.5}


def test_the_power_of_a_jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MONITORS", tmp_path)
    assert telemetry.power_watts() is None
    write(tmp_path / "hwmon0" / "name", "coretemp")
    write(tmp_path / "hwmon1" / "name", "ina3221")
    write(tmp_path / "hwmon1" / "in1_label", "VDD_IN")
    write(tmp_path / "hwmon1" / "in1_input", "5000")
    assert telemetry.power_watts() is None
    write(tmp_path / "hwmon1" / "curr1_input", "1400")
    assert telemetry.power_watts() == pytest.approx(7.0)
