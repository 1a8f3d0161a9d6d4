"""How warm the machine is and what it draws, as Linux and a Jetson's sensors tell it."""

from __future__ import annotations

from pathlib import Path

ZONES = Path("/sys/class/thermal")
MONITORS = Path("/sys/class/hwmon")


def temperatures() -> dict[str, float]:
    """Degrees Celsius by the name of the place; empty where nothing is measured."""
    found: dict[str, float] = {}
    for zone in sorted(ZONES.glob("thermal_zone*")):
        name, value = _text(zone / "type"), _number(zone / "temp")
        if name and value is not None and value > 0:
            found[name] = value / 1000
    return found


def power_watts() -> float | None:
    """Of the whole board: the input of a Jetson's power monitor (INA3221); None elsewhere."""
    for monitor in sorted(MONITORS.glob("hwmon*")):
        if _text(monitor / "name") != "ina3221":
            continue
        for label in sorted(monitor.glob("in*_label")):
            if _text(label) not in ("VDD_IN", "VIN_SYS_5V0"):
                continue
            channel = label.name.removeprefix("in").removesuffix("_label")
            volts = _number(monitor / f"in{channel}_input")
            amperes = _number(monitor / f"curr{channel}_input")
            if volts is not None and amperes is not None:
                return volts * amperes / 1e6  # both are in thousandths
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path) -> float | None:
    try:
        return float(_text(file))
    except ValueError:
        return None
