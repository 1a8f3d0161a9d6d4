"""The loop's figures for Prometheus. None of them says anything of a patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from runtime.telemetry import power_watts, temperatures

if TYPE_CHECKING:
    from runtime.capture.station import Station


class Figures:
    """Read at the moment they are asked for; nothing is counted a second time here."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        seen = self._station.loop.view()
        fates = CounterMetricFamily("dermedge_frames", "What became of frames.", labels=["fate"])
        counts = seen.camera.counts
        fates.add_metric(["good"], counts.good)
        fates.add_metric(["rejected"], counts.rejected)
        fates.add_metric(["dropped"], counts.dropped)
        yield fates
        yield CounterMetricFamily(
            "dermedge_camera_openings",
            "How often the camera was opened.",
            counts.openings,
        )
        yield CounterMetricFamily(
            "dermedge_captures", "Captures of this session.", self._station.captured
        )
        live = float(seen.camera.state == "live")
        yield GaugeMetricFamily("dermedge_camera_live", "1 while the camera gives frames.", live)
        yield GaugeMetricFamily(
            "dermedge_camera_frames_per_second",
            "As they come.",
            seen.camera.frames_per_second,
        )
        yield GaugeMetricFamily(
            "dermedge_looks_per_second", "Frames that could be looked at.", seen.looks_per_second
        )
        waits = GaugeMetricFamily(
            "dermedge_capture_seconds", "From request to result.", labels=["quantile"]
        )
        for name, milliseconds in self._station.percentiles().items():
            waits.add_metric([f"0.{name[1:]}"], milliseconds / 1e3)
        yield waits
        yield GaugeMetricFamily(
            "dermedge_disk_free_bytes", "Left for captures.", self._station.store.free_mb() * 1e6
        )
        heat = GaugeMetricFamily("dermedge_temperature_celsius", "By place.", labels=["place"])
        for place, degrees in temperatures().items():
            heat.add_metric([place], degrees)
        yield heat
        if (watts := power_watts()) is not None:
            yield GaugeMetricFamily("dermedge_power_watts", "Of the whole board.", watts)
