"""Frames judged side by side: in order, each by one chain at a time, and stopped cleanly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from runtime.bundle_files import load_bundle
from runtime.chain import Analysis, Chain
from runtime.judging import judge_ahead, open_chains
from runtime.record import Result
from runtime.sources import Item, Loaded
from tests.runtime.scans import bundle_at

FRAME = np.zeros((4, 4, 3), np.uint8)


class SlowFirst:
    """A chain that takes longest for the first frame, and notices being used by two threads."""

    batch = 1
    analyse_batch = Chain.analyse_batch

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.used = 0

    def analyse(self, frame: np.ndarray, metadata: Mapping[str, object], explain: bool) -> Analysis:
        assert self.busy.acquire(blocking=False), "one thread at a time"
        time.sleep(0.05 if metadata["file"] == "0" else 0.001)
        self.used += 1
        self.busy.release()
        if metadata["file"] == "bad":
            raise RuntimeError("broken chain")
        return Analysis(Result(status="ok", source=str(metadata["file"])), None, None)


def loaded(*names: str, frame: np.ndarray | None = FRAME) -> Iterator[tuple[Item, Loaded]]:
    for name in names:
        yield Item(name, name, lambda known: Loaded("", frame)), Loaded("", frame)


def told(name: str) -> dict[str, object]:
    return {"file": name}


def test_results_come_in_the_order_of_the_frames() -> None:
    chains = [SlowFirst(), SlowFirst()]
    names = [str(i) for i in range(20)]
    judged = list(judge_ahead(chains, loaded(*names), told))  # type: ignore[arg-type]
    assert [item.source for item, _, _ in judged] == names
    assert [analysis.result.source for _, _, analysis in judged if analysis] == names
    assert all(chain.used for chain in chains)
    assert sum(chain.used for chain in chains) == 20


def test_an_item_without_a_frame_is_passed_on() -> None:
    (entry,) = judge_ahead([SlowFirst()], loaded("x", frame=None), told)  # type: ignore[list-item]
    assert entry[2] is None


def test_a_failing_chain_is_heard_of_after_what_came_before() -> None:
    judged = judge_ahead([SlowFirst()] * 1, loaded("0", "1", "bad", "2"), told)  # type: ignore[arg-type]
    seen = [next(judged)[0].source, next(judged)[0].source]
    with pytest.raises(RuntimeError, match="broken chain"):
        next(judged)
    assert seen == ["0", "1"]


def test_no_more_frames_are_taken_than_the_chains_can_use() -> None:
    taken = []

    def source() -> Iterator[tuple[Item, Loaded]]:
        for entry in loaded(*map(str, range(50))):
            taken.append(entry)
            yield entry

    judged = judge_ahead([SlowFirst(), SlowFirst()], source(), told)  # type: ignore[list-item]
    next(judged)
    assert len(taken) == 3
    judged.close()
    assert len(taken) == 3


def test_chains_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(bundle_at(tmp_path / "bundle"))
    for cores, most, expected in ((1, 4, 1), (2, 4, 2), (16, 4, 4), (16, 1, 1)):
        monkeypatch.setattr("runtime.judging.usable_cores", lambda cores=cores: cores)
        with open_chains(bundle, "fake", most=most) as chains:
            assert len(chains) == expected
            assert len({id(chain) for chain in chains}) == expected
