"""Times on a GPU under trtexec's names, measured for as long as it would."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from runtime.gpu_timing import LEAST, gpu_figures, time_engine


class Timed:
    timed_with = {"graph": False, "transfers": True, "spin_wait": False}

    def __init__(self, compute: list[float]) -> None:
        self.compute, self.runs = compute, 0

    def run_timed(self, feeds: Any) -> dict[str, float]:
        self.runs += 1
        ms = self.compute[self.runs % len(self.compute)]
        return {"h2dMs": 0.5, "computeMs": ms, "d2hMs": 0.25, "enqMs": 1.7}


def test_latency_is_the_sum_and_settings_stand_beside_it() -> None:
    figures = time_engine(Timed([2.0]), {}, warm_up_s=0, seconds=0)
    assert figures["runs"] == LEAST
    assert figures["latencyMs"]["p50"] == pytest.approx(2.75)
    assert figures["computeMs"]["p99"] == 2.0
    assert figures["settings"] == Timed.timed_with
    assert figures["steady"]
    assert figures["host_bound"]  # 1.7 ms to start what takes 2 ms


def test_it_measures_so_long_after_a_warm_up() -> None:
    ticks = count()
    engine = Timed([1.0, 3.0])
    figures = time_engine(engine, {}, warm_up_s=20, seconds=50, clock=lambda: float(next(ticks)))
    assert figures["runs"] >= 50
    assert engine.runs >= figures["runs"] + 20
    assert not figures["steady"]  # its times scatter more than trtexec lets pass


def test_an_engine_on_the_cpu_has_no_such_figures() -> None:
    assert gpu_figures(object(), {}) is None
