"""A stage of a run: a folder that says which inputs its result was made from.

A stage whose inputs are unchanged is skipped; one whose inputs changed starts afresh; one that was
killed goes on from its last checkpoint. The stamp is written last, so half a result has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

STAMP = "stage.json"
BEGUN = "begun.json"


def fingerprint(inputs: dict[str, Any]) -> str:
    text = json.dumps(inputs, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A part of a recipe counts by the fields that differ from their defaults: one that a later
    version adds must not have everything trained again, days of it perhaps. So a default never
    changes, and of parts of several kinds in one place no two leave their `kind` to one."""
    return value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else str(value)


@dataclass(frozen=True, slots=True)
class Stage:
    folder: Path
    key: str

    @classmethod
    def of(cls, folder: Path, inputs: dict[str, Any]) -> Stage:
        return cls(folder, fingerprint(inputs))

    @property
    def done(self) -> bool:
        return self._key_in(STAMP) == self.key

    def forget_if_stale(self) -> None:
        """So that nothing takes the result of other inputs for one of these."""
        if not self.done:
            (self.folder / STAMP).unlink(missing_ok=True)

    def begin(self) -> None:
        """Keep what a killed attempt with the same inputs left behind, drop everything else."""
        if self._key_in(BEGUN) != self.key:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / STAMP).unlink(missing_ok=True)
        write_json(self.folder / BEGUN, {"key": self.key})

    def adopt(self, folder: Path) -> bool:
        """Take another run's result of the same inputs, if that is there, by hard links."""
        if not Stage(folder, self.key).done:
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        beside = self.folder.with_name(self.folder.name + ".part")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder, beside, copy_function=_linked)
        os.replace(beside, self.folder)  # a stamp without what it vouches for would be believed
        return True

    def finish(self, facts: dict[str, Any] | None = None) -> None:
        write_json(self.folder / STAMP, {"key": self.key, **(facts or {})})

    def facts(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / STAMP).read_text(encoding="utf-8")))

    def _key_in(self, name: str) -> str | None:
        try:
            return str(json.loads((self.folder / name).read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, KeyError):
            return None


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, target)


def write_json(path: Path, value: Any) -> None:
    """Written beside and renamed, so that a reader never sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)
