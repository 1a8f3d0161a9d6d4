"""Latency on a GPU by the GPU's own clock, under trtexec's names and by its conventions.

Latency is the way up, the network and the way down; what the host does to start them is not in it.
trtexec's defaults for graphs, transfers and spinning changed between its releases, so the three
stand beside every figure. Only engines that can be timed so are: the rest is measured by the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Protocol, cast

import numpy as np

from runtime.timings import summarise

WARM_UP_S = 0.2
SECONDS = 3.0
LEAST = 10
NOISY = 0.025
HOST_BOUND = 0.8  # of the GPU's time: from there on the host holds it up
FIELDS = ("h2dMs", "computeMs", "d2hMs", "latencyMs", "enqMs")

Feeds = Mapping[str, np.ndarray[Any, Any]]


class Timed(Protocol):
    """An engine that can time its own runs, and says how it does."""

    timed_with: dict[str, bool]

    def run_timed(self, feeds: Any) -> dict[str, float]: ...


def gpu_figures(engine: object, feeds: Feeds) -> dict[str, Any] | None:
    """An engine's figures, or None where it does not run on a GPU."""
    return time_engine(cast("Timed", engine), feeds) if hasattr(engine, "run_timed") else None


def time_engine(
    engine: Timed,
    feeds: Feeds,
    *,
    warm_up_s: float | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, Any]:
    """Runs one after the other for so long, ten at the least, after a warm-up."""
    _for_so_long(engine, feeds, WARM_UP_S if warm_up_s is None else warm_up_s, 1, clock)
    rows = _for_so_long(engine, feeds, SECONDS if seconds is None else seconds, LEAST, clock)
    for row in rows:
        row["latencyMs"] = row["h2dMs"] + row["computeMs"] + row["d2hMs"]
    figures = {name: summarise([row[name] for row in rows]) for name in FIELDS}
    return {
        "clock": "CUDA events",
        "settings": dict(engine.timed_with),
        "runs": len(rows),
        "steady": figures["computeMs"]["cv"] <= NOISY,
        "host_bound": figures["enqMs"]["p50"] > HOST_BOUND * figures["computeMs"]["p50"],
        **figures,
    }


def _for_so_long(
    engine: Timed, feeds: Feeds, seconds: float, least: int, clock: Callable[[], float]
) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    started = clock()
    while len(rows) < least or clock() - started < seconds:
        rows.append(dict(engine.run_timed(feeds)))
    return rows
