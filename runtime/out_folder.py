"""The folder that `infer --out` writes: which run it belongs to, and what is in it already.

run.json is written when a run begins, with what identifies it: bundle, backend, input, metadata.
A folder carries on where those are the same, and is refused where they are not, because one table
with scores of two bundles is worse than none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime import whole_file
from runtime.closing import Closing
from runtime.decode import printable
from runtime.errors import UsageError
from runtime.results import read_lines, recover, settle, writing

HEATMAPS = "heatmaps"
FILES = ("results.jsonl", "results.csv", "report.html", "run.json")
WORDS = {
    "bundle": "another bundle",
    "backend": "another backend",
    "input": "another input",
    "metadata": "other metadata",
    "every": "another --every",
    "explain": "another --explain",
}


@dataclass
class OutFolder(Closing):
    path: Path
    facts: dict[str, Any]  # run.json
    done: set[bytes] = field(default_factory=set)
    _lock: int | None = None

    @property
    def records(self) -> Path:
        return self.path / "results.jsonl"

    @property
    def overlays(self) -> Path:
        return self.path / "overlays"

    @property
    def heatmaps(self) -> Path:
        return self.path / HEATMAPS

    def save(self, **facts: object) -> None:
        self.facts.update(facts)
        text = json.dumps(self.facts, indent=1, ensure_ascii=False, default=str) + "\n"
        write_whole(self.path / "run.json", text.encode("utf-8", "backslashreplace"))

    def settle(self) -> None:
        """At the end of a scan: one record and one picture for each source."""
        self.drop_overlays(settle(self.records).replaced)

    def drop_overlays(self, records: Iterable[tuple[str, str]]) -> None:
        """The pictures of these sources with these hashes, where there are any."""
        from runtime.overlay import overlay_name

        with writing(self.overlays):
            for source, sha256 in records:
                for folder in (self.overlays, self.heatmaps):
                    (folder / overlay_name(source, sha256)).unlink(missing_ok=True)

    def lock(self) -> None:
        """Keep other scans out until this is closed: two would write every record twice."""
        try:
            import fcntl
        except ImportError:
            return  # not on this system, which has no such locks
        with writing(self.path):
            self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self.close()
            raise UsageError(
                f"Another scan is writing to {printable(str(self.path))}.",
                expected="one scan at a time for a folder",
                remedy="Wait for it to end, or name another folder with --out.",
            ) from exc
        except OSError:
            pass  # a file system without locks

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def default_folder(path: Path, identity: Mapping[str, object]) -> Path:
    """One folder for one input and bundle, so that a second run of the same command finds it."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    name = printable(path.resolve().name) or "root"
    return Path("dermedge-results") / f"{name}-{digest[:8]}"


def open_folder(path: Path, identity: dict[str, object], resume: bool) -> OutFolder:
    """Make the folder, or find the earlier run in it and what that has recorded. Close it."""
    out = OutFolder(path, {"schema": 1, "identity": identity})
    found = any((path / name).exists() for name in FILES)
    if found:
        facts = _read_run(path / "run.json")
        had = facts.get("identity")
        if not isinstance(had, dict) or (resume and had != identity):
            raise _another_run(path, had, identity)
        if resume:
            out.facts = facts
    with writing(path):
        out.overlays.mkdir(parents=True, exist_ok=True)
        if identity.get("explain"):
            out.heatmaps.mkdir(exist_ok=True)
        probe = path / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    out.lock()
    try:
        if found and not resume:
            _clear(out)
        kept = recover(out.records)
        out.done = kept.keys
        out.drop_overlays(kept.replaced)
    except BaseException:
        out.close()
        raise
    return out


def _read_run(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _another_run(path: Path, had: object, now: Mapping[str, object]) -> UsageError:
    got = "results without a run.json that says what they are of"
    remedy = "Name another folder with --out."
    if isinstance(had, dict):
        differing = [name for name in WORDS if had.get(name) != now.get(name)]
        got = "; ".join(f"{WORDS[name]} ({had.get(name)})" for name in differing)
        remedy = "Name another folder with --out, or replace what is in it with --no-resume."
    return UsageError(
        f"{printable(str(path))} holds the results of another run.",
        got=got,
        expected=", ".join(f"{name} {value}" for name, value in now.items() if value is not None),
        remedy=remedy,
    )


def _clear(out: OutFolder) -> None:
    """Remove what an earlier run wrote here, and nothing else."""
    if out.records.exists():
        records = (record for _, record in read_lines(out.records) if isinstance(record, dict))
        out.drop_overlays((str(r.get("source")), str(r.get("sha256"))) for r in records)
    with writing(out.path):
        for name in FILES:
            (out.path / name).unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Whoever reads it finds the old one or the new one; what fails is told as `writing` does."""
    with writing(path):
        whole_file.write_whole(path, content)
