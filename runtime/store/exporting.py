"""Captures as files for others: a table, records one a line, or a ZIP with the pictures too."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runtime.errors import UsageError
from runtime.record import flatten
from runtime.store.pictures import PictureLost, private
from runtime.whole_file import appearing_whole

if TYPE_CHECKING:
    from runtime.store.store import Capture, Store

KINDS = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".zip": "application/zip"}
README = """Captures of dermedge.

records.jsonl has one result record a line, captures.csv the same as a table, and sessions.json what
ran, and how the camera was set up. pictures/ has what was judged: where several frames were, as
capture.frames in a record says, the sharpest of them. If there is a missing.txt, it names the
captures whose pictures were lost or damaged.

Decision support for a trained clinician, not a diagnosis: a score says how much a picture looks
like those of its class in the training data.
"""


@dataclass(frozen=True, slots=True)
class Written:
    captures: int
    missing: list[str]  # whose picture is not with them, and why


def write_export(store: Store, session: str | None, out: Path) -> Written:
    """What retention has removed is left out."""
    kind = out.suffix.lower()
    if kind not in KINDS:
        raise UsageError(
            f"{out} has an ending that says nothing.",
            got=kind or "no ending",
            expected=", ".join(KINDS),
        )
    if out.exists():
        raise UsageError(
            f"{out} is there already.",
            expected="a file that is new: what was exported before is never overwritten",
            remedy="name another with --out, or move that one",
        )
    store.check_key()
    with _new_file(out) as file:
        return write_captures(store, session, kind, file)


@contextmanager
def _new_file(out: Path) -> Iterator[IO[bytes]]:
    try:
        with appearing_whole(out, private) as file:
            yield file
    except OSError as exc:
        raise UsageError(
            f"{out} cannot be written.",
            got=exc.strerror or str(exc),
            expected="a folder with room for it, and permission",
            remedy="make room, or name another folder with --out; nothing of it was left behind",
        ) from exc


def write_captures(store: Store, session: str | None, kind: str, file: IO[bytes]) -> Written:
    captures = [each for each in store.captures(session) if each.record is not None]
    missing: list[str] = []
    if kind == ".zip":
        missing = _write_zip(store, captures, file)
    else:
        text = (_csv if kind == ".csv" else _jsonl)(captures)
        file.write(text.encode("utf-8", "backslashreplace"))
    return Written(len(captures), missing)


def _write_zip(store: Store, captures: list[Capture], file: IO[bytes]) -> list[str]:
    """One picture that is lost leaves it out, and says so: the others are wanted all the same."""
    missing = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        archive.writestr("records.jsonl", _jsonl(captures))
        archive.writestr("captures.csv", _csv(captures))
        there = {each.session for each in captures}
        sessions = [each for each in store.sessions() if each["id"] in there]
        archive.writestr("sessions.json", json.dumps(sessions, indent=1, ensure_ascii=False))
        for each in captures:
            try:
                picture = store.whole_picture(each.image or "")
            except PictureLost as lost:
                missing.append(f"capture {each.number}: {lost}")
                continue
            name = f"pictures/{each.number:06d}.png"
            archive.writestr(name, picture, zipfile.ZIP_STORED)  # PNG is packed already
        if missing:
            archive.writestr("missing.txt", "".join(f"{each}\n" for each in missing))
    return missing


def _rows(captures: list[Capture]) -> Iterator[dict[str, Any]]:
    for each in captures:
        yield {
            "capture": each.number,
            "session": each.session,
            "time": each.time,
            "patient": each.patient or {},
            "result": each.record,
        }


def _jsonl(captures: list[Capture]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(captures))


def _csv(captures: list[Capture]) -> str:
    flat = [dict(flatten(row)) for row in _rows(captures)]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in flat)
    return text.getvalue()


def _harmless(value: object) -> object:
    """A note that begins like a formula is a formula to a spreadsheet."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
