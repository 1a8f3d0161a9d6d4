"""What opening a store and keeping to its limits costs, as captures grow in number: by counting."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.store import database
from runtime.store.pictures import Pictures
from runtime.store.retention import BATCH
from runtime.store.store import Limits, Store
from tests.runtime.store.test_store import ROOMY, change, fill

FEW, MANY = 20, 160
BOUND = Limits(days=30, megabytes=1.0, free_mb=0)  # that nothing here is beyond


class Work:
    """What SQLite has computed, in tens of its steps, and what it was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.statements = 0, list[str]()

        def watched(file: Path, orphans: bool = False) -> sqlite3.Connection:
            base = database.connect(file, orphans)
            base.set_progress_handler(self._step, 10)
            base.set_trace_callback(self.statements.append)
            return base

        monkeypatch.setattr("runtime.store.store.connect", watched)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def of_a_start(self, folder: Path) -> int:
        before = self.steps
        with Store(folder, limits=BOUND) as store:
            assert store.apply_limits() == 0
        return self.steps - before


def test_a_start_costs_no_more_for_each_capture_than_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, steps = Work(monkeypatch), []
    for count in (FEW, MANY):
        folder = tmp_path / f"of {count}"
        with Store(folder, limits=ROOMY) as store:
            fill(store, count)
        steps.append(work.of_a_start(folder))
    assert steps[1] < 2 * MANY / FEW * steps[0], "it is quadratic"


def test_limits_that_nothing_is_beyond_look_at_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(pictures: Pictures, name: str) -> Path:
        raise AssertionError(name)

    with Store(tmp_path / "s", limits=BOUND) as store:
        fill(store)
        monkeypatch.setattr(Pictures, "place", looked_at)
        assert store.apply_limits() == 0


def test_many_are_removed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    with Store(tmp_path / "s", limits=Limits(megabytes=0, free_mb=0)) as store:
        fill(store, BATCH + 50)
        before = len(work.statements)
        assert store.apply_limits() == BATCH + 49, "the newest may have just been acknowledged"
        assert work.statements[before:].count("COMMIT") == 2
        assert len(list(store.pictures.names())) == 1
        assert list(store.problems()) == []


def test_a_store_of_before_learns_the_sizes_of_its_pictures(tmp_path: Path) -> None:
    with Store(tmp_path / "s", limits=ROOMY) as store:
        fill(store, 4)  # nine bytes each
    change(tmp_path / "s", "DROP INDEX captures_by_image")
    change(tmp_path / "s", "ALTER TABLE captures DROP COLUMN bytes")
    with Store(tmp_path / "s", writable=False) as store:
        assert len(store.captures()) == 4, "it can be read as it is"
    for removed in (2, 0):
        with Store(tmp_path / "s", limits=Limits(megabytes=18e-6, free_mb=0)) as store:
            assert store.apply_limits() == removed
            assert list(store.problems()) == []
