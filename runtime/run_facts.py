"""run.json: what a scan was, for the report and for whoever finds the folder in a year."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runtime import machine
from runtime.reporting.reading import read_results
from runtime.reporting.summary import Summary

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.chain import Chain
    from runtime.out_folder import OutFolder
    from runtime.scan import Progress


def start_facts(out: OutFolder, chain: Chain, command: str) -> dict[str, object]:
    """Written before the first record, and again without its end when a scan carries on."""
    spec = chain.bundle.spec
    shown = {"recipe", "intended_use", "classes", "positive", "decision"}
    return {
        "command": command,
        "bundle": {
            **chain.bundle.record.model_dump(),
            **spec.model_dump(mode="json", include=shown),
            "provenance": spec.provenance.model_dump(mode="json", exclude={"held_out"}),
        },
        "backend": chain.backend.model_dump(),
        "started": out.facts.get("started") or _now(),
        "finished": None,
        "machine": machine.facts(),
    }


def end_facts(summary: Summary, unreadable: int, progress: Progress) -> dict[str, object]:
    return {
        "finished": _now(),
        "images": summary.total,
        "counts": dict(summary.groups),
        "unreadable": unreadable,
        "last_session": {
            "images": progress.scanned,
            "recorded_before": progress.resumed,
            "seconds": round(progress.seconds, 3),
            "rate": round(progress.rate, 3),
        },
    }


def summarise(records: Path) -> tuple[Summary, int]:
    """What the records say, and how many are of files that no chain has seen."""
    summary, unreadable = Summary(), 0
    for result in read_results(records) if records.exists() else ():
        summary.add(result)
        unreadable += result is not None and result.status == "error" and result.backend is None
    return summary, unreadable


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
