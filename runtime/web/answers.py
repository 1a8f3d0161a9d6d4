"""What the screen is told, as plain values for JSON."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from runtime import machine
from runtime.capture.station import OLDEST, TEXTS
from runtime.overlay import outline_shares
from runtime.telemetry import power_watts, temperatures

if TYPE_CHECKING:
    from runtime.capture.loop import View
    from runtime.capture.station import Station
    from runtime.store.store import Capture

LIBRARIES = ("dermedge", "numpy", "opencv-python", "openvino", "onnxruntime", "starlette")


def view(seen: View) -> dict[str, Any]:
    camera, look = seen.camera, seen.look
    return {
        "state": camera.state,
        "why": camera.why,
        "for_seconds": round(time.monotonic() - camera.since, 1),
        "number": seen.number,
        "size": seen.size,
        "outline": outline_shares(look.lesion, *seen.size) if look and seen.size else [],
        "hints": list(look.hints) if look else [],
        "ready": look is not None and not look.hints,
        "looks_per_second": round(seen.looks_per_second, 1),
        "counts": camera.counts.as_facts(),
    }


def about(station: Station) -> dict[str, Any]:
    """What a screen has to know once: how scores are to be read, and what a form may ask."""
    bundle, profile = station.loop.chain.bundle, station.profile
    spec = bundle.spec
    encoder = spec.chain.metadata
    return {
        "bundle": {"name": spec.name, "version": spec.version, "digest": bundle.digest},
        "intended_use": spec.intended_use,
        "explains": spec.chain.explain is not None,
        "classes": list(spec.classes),
        "positive": list(spec.positive),
        "decision": spec.decision.model_dump(mode="json"),
        "data": [{"name": each.name, "images": each.images} for each in spec.provenance.data],
        "form": {"texts": TEXTS, "oldest": OLDEST},
        "camera": {
            "pixels_per_mm": profile.pixels_per_mm,
            "polarisation": profile.polarisation,
        },
        "fields": [] if encoder is None else [f.model_dump(mode="json") for f in encoder.fields],
    }


def capture(kept: Capture) -> dict[str, Any]:
    return {
        "number": kept.number,
        "time": kept.time,
        "record": kept.record,
        "patient": kept.patient or {},
        "outline": kept.outline,
        "there": kept.image is not None,
    }


def device(station: Station) -> dict[str, Any]:
    chain = station.loop.chain
    seen = station.loop.view()
    return {
        "camera": {
            "name": station.camera,
            "what": seen.camera.what,
            "state": seen.camera.state,
            "frames_per_second": round(seen.camera.frames_per_second, 1),
        },
        "counts": seen.camera.counts.as_facts(),
        "looks_per_second": round(seen.looks_per_second, 1),
        "captures": station.percentiles(),
        "temperatures": temperatures(),
        "power_watts": power_watts(),
        "free_mb": round(station.store.free_mb()),
        "backend": chain.backend.model_dump(mode="json"),
        "machine": machine.facts(),
        "versions": dict(_versions()),
    }


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
