"""results.jsonl: written so that a killed scan loses nothing, read again to carry on.

A line is written whole and at once, and reaches the disk within a second. What a kill or a power
cut can leave is a torn or empty end; `recover` cuts that off before anything is added.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from runtime.closing import Closing
from runtime.errors import UsageError
from runtime.whole_file import appearing_whole

if TYPE_CHECKING:
    from runtime.record import Result

SYNC_SECONDS = 1.0


class ResultLog(Closing):
    """Appends records. The lines before it are whole: `recover` has seen to that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._dirty = False
        self._synced = monotonic()
        with writing(path):
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = os.fstat(self._file).st_size

    def append(self, result: Result) -> None:
        line = (result.to_json() + "\n").encode("utf-8")
        with writing(self.path):
            try:
                self._write(line)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, self._size)  # no half line stays behind
                raise
            self._size += len(line)
            self._dirty = True
        if monotonic() - self._synced >= SYNC_SECONDS:
            self.sync()

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._file, line) :]

    def sync(self) -> None:
        """To the disk. Called when idle too, so that the last record does not wait for a next."""
        if self._dirty:
            with writing(self.path):
                os.fsync(self._file)
            self._dirty = False
        self._synced = monotonic()

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self._file)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a message. Everything written before it is kept."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written.",
            got=error.strerror or str(error),
            expected="a folder with room and permission for the results",
            remedy="Make room, or name another folder with --out. What was recorded is kept: "
            "the same command carries on from there.",
        ) from error


def key_of(source: str, sha256: str) -> bytes:
    """What makes a record the same: 16 bytes, because a scan remembers every one."""
    told = f"{len(source)}:{source}:{sha256}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of results.jsonl once it is tidy."""

    keys: set[bytes]
    replaced: list[tuple[str, str]]  # source and SHA-256 of records that have a later one


def recover(path: Path) -> Kept:
    """What is recorded already. Removes torn lines, and records of files that were unreadable.

    Those have no SHA-256. They are tried again, because a disk that was not mounted may be now.
    """
    return _tidy(path, _is_final)


def settle(path: Path) -> Kept:
    """Leave one record a source, the last: a file that was changed since must not count twice."""
    return _tidy(path, _is_record)


def _tidy(path: Path, keeps: Callable[[Any], bool]) -> Kept:
    if not path.exists():
        return Kept(set(), [])
    total, last = 0, dict[bytes, tuple[int, bytes]]()
    with writing(path):
        for number, (_, record) in enumerate(read_lines(path)):
            total += 1
            if keeps(record):
                source, sha256 = record["source"], record["sha256"]
                last[key_of(source, "")] = (number, key_of(source, sha256))
        replaced = _keep_lines(path, last, keeps) if len(last) < total else []
    return Kept({key for _, key in last.values()}, replaced)


def _keep_lines(
    path: Path, last: Mapping[bytes, tuple[int, bytes]], keeps: Callable[[Any], bool]
) -> list[tuple[str, str]]:
    numbers = {number for number, _ in last.values()}
    replaced: list[tuple[str, str]] = []
    with appearing_whole(path) as file:
        for number, (line, record) in enumerate(read_lines(path)):
            if number in numbers:
                file.write(line)
            elif keeps(record):
                replaced.append((record["source"], record["sha256"]))
    return replaced


def read_lines(path: Path) -> Iterator[tuple[bytes, Any]]:
    """Each line and what it says, which is None for a torn one."""
    with path.open("rb") as file:
        for line in file:
            yield line, _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("source"), str)
        and isinstance(record.get("sha256"), str)
    )


def _is_final(record: Any) -> bool:
    return _is_record(record) and bool(record["sha256"])


def write_csv(records: Path, table: Path) -> None:
    """results.csv from results.jsonl in two passes, so that memory does not grow with it."""
    from runtime.record import Result, flatten

    order = {field.alias or name: i for i, (name, field) in enumerate(Result.model_fields.items())}
    seen: dict[str, None] = {}
    for _, record in read_lines(records):
        if isinstance(record, dict):
            seen.update(dict.fromkeys(key for key, _ in flatten(record)))
    # A field that is empty in one record and nested in another is a column only where it nests.
    dots = ((name, at) for name in seen for at, letter in enumerate(name) if letter == ".")
    nested = {name[:at] for name, at in dots}
    columns = sorted(
        (name for name in seen if name not in nested),
        key=lambda name: order.get(name.partition(".")[0], len(order)),
    )
    partial = table.with_name(f".{table.name}.partial")
    with writing(table):
        with partial.open("w", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, columns, extrasaction="ignore")
            rows.writeheader()
            for _, record in read_lines(records):
                if isinstance(record, dict):
                    rows.writerow(dict(flatten(record)))
        partial.replace(table)
