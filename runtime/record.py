"""The result record: one JSON object a line in results.jsonl, and what a chain returns.

Field names and their order are a contract with other tools; tests/golden holds an example.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from runtime.specs import Spec

Status = Literal["ok", "abstained", "rejected", "error"]


class LesionRecord(Spec):
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of the frame
    area_fraction: float
    touches_border: bool


class CaptureRecord(Spec):
    frames: int
    spread: float
    flip_rate: float


class BundleRecord(Spec):
    name: str
    version: str
    digest: str


class BackendRecord(Spec):
    name: str
    mode: Literal["graph", "enqueue", "staged", "host"]
    device: str
    precision: dict[str, str]


class Result(Spec):
    """What is known about one frame. `refer` is a decision only where the status is ok."""

    schema_number: int = Field(default=1, alias="schema")
    time: str = ""
    source: str = ""
    sha256: str = ""
    status: Status
    reason: str | None = None
    probabilities: dict[str, float] = {}
    score: float | None = None
    threshold: float | None = None
    refer: bool | None = None
    members: dict[str, dict[str, float]] = {}
    disagreement: float | None = None
    ood: float | None = None
    lesion: LesionRecord | None = None
    heatmap: str | None = None
    quality: dict[str, float] = {}
    metadata: dict[str, Any] = {}
    capture: CaptureRecord | None = None
    frame_age_ms: float | None = None
    timing_ms: dict[str, float] = {}
    bundle: BundleRecord | None = None
    backend: BackendRecord | None = None

    def to_json(self) -> str:
        return json.dumps(self.model_dump(by_alias=True), ensure_ascii=False, allow_nan=False)


def flatten(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested keys joined by dots, for results.csv: ("probabilities.melanoma", 0.12), …"""
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, (bool, list, tuple)):
            yield f"{prefix}{key}", json.dumps(value)  # true and false, as in the JSON
        else:
            yield f"{prefix}{key}", None if value == {} else value
