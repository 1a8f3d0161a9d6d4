"""The pipeline: in order, bounded, and stopping cleanly whichever of its threads fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from runtime import scan as scan_module
from runtime.bundle_files import load_bundle
from runtime.chain import Chain, open_chain
from runtime.errors import InputError, UsageError
from runtime.out_folder import OutFolder, open_folder
from runtime.prefetch import DEPTH, load_ahead
from runtime.scan import Progress, scan
from runtime.sources import Item, Known, Loaded, Sources, folder
from tests.runtime.scans import bundle_at, records_in, write_pictures

FRAME = np.full((8, 8, 3), 90, np.uint8)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())  # the test runner has threads of its own
    yield
    assert not set(threading.enumerate()) - before


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_at(tmp_path_factory.mktemp("scan") / "bundle")


@pytest.fixture
def chain(bundle: Path) -> Iterator[Chain]:
    with open_chain(load_bundle(bundle), "fake") as opened:
        yield opened


def out_at(path: Path) -> OutFolder:
    return open_folder(path, {"bundle": "x"}, resume=True)


def run(chain: Chain, sources: Sources, out: OutFolder) -> Progress:
    with out:
        return scan([chain], sources, out, lambda file: {}, lambda progress: None)


def items(count: int, load: object = None) -> Iterator[Item]:
    for i in range(count):
        yield Item(str(i), str(i), load or partial(_numbered, i))  # type: ignore[arg-type]


def _numbered(i: int, known: Known) -> Loaded:
    return Loaded(str(i), FRAME)


def test_records_are_in_the_order_of_names_with_overlays(chain: Chain, tmp_path: Path) -> None:
    names = write_pictures(tmp_path / "in", 12)
    progress = run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    records = records_in(tmp_path / "out")
    assert [record["source"] for record in records] == names
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 12
    assert progress.seen == progress.scanned == 12
    for record in records:
        assert record["status"] == "ok"
        assert record["time"]
        assert {"decode", "segment", "total"} <= record["timing_ms"].keys()
        assert record["bundle"]["digest"] == chain.bundle.digest
        assert len(record["sha256"]) == 64


def test_a_bad_file_is_a_record_among_others(chain: Chain, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 3)
    (tmp_path / "in" / "p001.png").write_bytes(b"")
    progress = run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    first, second, third = records_in(tmp_path / "out")
    assert (first["status"], second["status"], third["status"]) == ("ok", "error", "ok")
    assert "is empty" in second["reason"]
    assert second["backend"] is None
    assert second["bundle"] == first["bundle"]
    assert progress.unreadable == 1


def test_a_second_scan_adds_only_what_is_new(chain: Chain, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 3)
    run(chain, folder(tmp_path / "in"), saved(out_at(tmp_path / "out")))
    write_pictures(tmp_path / "in", 5)
    progress = run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    assert (progress.seen, progress.resumed, progress.scanned) == (5, 3, 2)
    assert [r["source"] for r in records_in(tmp_path / "out")] == [f"p00{i}.png" for i in range(5)]


def saved(out: OutFolder) -> OutFolder:
    out.save()
    return out


def test_a_changed_file_is_scanned_again(chain: Chain, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 2)
    run(chain, folder(tmp_path / "in"), saved(out_at(tmp_path / "out")))
    data = (tmp_path / "in" / "p001.png").read_bytes()
    (tmp_path / "in" / "p000.png").write_bytes(data)
    run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    records = records_in(tmp_path / "out")
    assert [r["source"] for r in records] == ["p000.png", "p001.png", "p000.png"]
    assert records[2]["sha256"] == records[1]["sha256"]


def test_metadata_reaches_the_chain_and_the_record(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_pictures(tmp_path / "in", 1)
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    with out_at(tmp_path / "out") as out:
        scan(
            [chain], folder(tmp_path / "in"), out, lambda file: {"of": file}, lambda progress: None
        )
    assert [r["metadata"] for r in records_in(tmp_path / "out")] == [
        {"of": "bad.png"},
        {"of": "p000.png"},
    ]


def test_a_full_disk_ends_the_scan_with_what_was_written(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "in", 30)
    real, written = Path.write_bytes, []

    def write_bytes(path: Path, data: bytes) -> int:
        if path.suffix == ".jpg" and len(written) == 5:
            raise OSError(28, "No space left on device")
        written.append(path)
        return real(path, data)

    out = saved(out_at(tmp_path / "out"))
    written.clear()
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(UsageError, match="cannot be written"):
        run(chain, folder(tmp_path / "in"), out)
    monkeypatch.undo()
    assert len(records_in(tmp_path / "out")) == 5
    run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    assert len({r["source"] for r in records_in(tmp_path / "out")}) == 30
    assert len(records_in(tmp_path / "out")) == 30


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), InputError("x")])
def test_an_error_in_the_chain_keeps_what_came_before(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    write_pictures(tmp_path / "in", 9)
    real, seen = chain.analyse, []

    def analyse(*given: object) -> object:
        if len(seen) == 4:
            raise error
        seen.append(given)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(chain, "analyse", analyse)
    with pytest.raises(type(error)):
        run(chain, folder(tmp_path / "in"), out_at(tmp_path / "out"))
    assert len(records_in(tmp_path / "out")) == 4


def test_a_failing_listing_is_raised_where_it_is_waited_for() -> None:
    def broken() -> Iterator[Item]:
        yield from items(2)
        raise InputError("the disk went away")

    ahead = load_ahead(broken(), lambda *_: False, 2)
    assert next(ahead)[0].source == "0"
    assert next(ahead)[0].source == "1"
    with pytest.raises(InputError, match="went away"):
        next(ahead)


def test_loading_is_in_order_and_bounded() -> None:
    begun: list[int] = []

    def listed() -> Iterator[Item]:
        for item in items(50):
            begun.append(int(item.source))
            yield item

    ahead = load_ahead(listed(), lambda *_: False, 2)
    for i, (item, loaded) in enumerate(ahead):
        assert item.source == loaded.sha256 == str(i)
        assert len(begun) <= i + 1 + DEPTH + 2  # the queue, one to be put, one being listed
    assert begun == list(range(50))


def test_loading_can_be_stopped_early() -> None:
    ahead = load_ahead(items(10**9), lambda *_: False, 2)
    next(ahead)
    ahead.close()


def test_the_writer_syncs_when_nothing_comes(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last record before a pause reaches the disk, though no further record follows it."""
    monkeypatch.setattr(scan_module, "SYNC_SECONDS", 0.01)
    synced = threading.Event()
    real = scan_module.ResultLog.sync

    def sync(log: scan_module.ResultLog) -> None:
        real(log)
        synced.set()

    def slow(known: Known) -> Loaded:
        assert synced.wait(10)
        return Loaded("2", FRAME)

    def both() -> Iterator[Item]:
        yield from items(1)
        yield from items(1, slow)

    monkeypatch.setattr(scan_module.ResultLog, "sync", sync)
    run(chain, Sources("folder", tmp_path, (), both()), out_at(tmp_path / "out"))
    assert len(records_in(tmp_path / "out")) == 2
