"""Whether 8 bits are faster here: a model's two files in turns, on the inputs it gets.

In turns, because a machine that slows down then slows both. What decides is the median over the
turns of the ratio within a turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from runtime.backends.base import Graph
from runtime.backends.registry import load_graph
from runtime.errors import DermedgeError

if TYPE_CHECKING:
    from runtime.backends.base import Engine, Floats
    from runtime.bundle import ModelSpec

TURNS = 40
WARM_UP = 3
MOST_SECONDS = 20.0  # a model and engine


@dataclass(frozen=True, slots=True)
class Speed:
    backend: str
    float_precision: str
    float_ms: float
    int8_ms: float
    ratio: float  # of int8 to float: below one, int8 is faster

    @property
    def int8_pays(self) -> bool:
        return self.ratio < 1.0


@dataclass(frozen=True, slots=True)
class File:
    """A graph as it will lie in the bundle."""

    precision: str
    content: bytes


def compare_speed(
    backend: str,
    name: str,
    model: ModelSpec,
    files: tuple[File, File],
    feeds: Sequence[Mapping[str, Floats]],
    classes: int,
) -> Speed | DermedgeError:
    """Float first, then int8. What an engine cannot run is returned: it is then not for it."""
    with ExitStack() as stack:
        engines = []
        try:
            for file in files:
                graph = Graph(name, f"{name}.onnx", file.precision, file.content, model, classes)
                engines.append(stack.enter_context(load_graph(backend, graph)))
        except DermedgeError as error:
            return error
        spent = np.array(_turns(engines, feeds))
    slow, fast = np.median(spent, axis=0) * 1e3
    ratio = float(np.median(spent[:, 1] / spent[:, 0]))
    return Speed(backend, files[0].precision, float(slow), float(fast), ratio)


def _turns(
    engines: Sequence[Engine], feeds: Sequence[Mapping[str, Floats]]
) -> list[tuple[float, ...]]:
    for engine in [*engines] * WARM_UP:
        engine.run(feeds[0])
    started, spent = perf_counter(), []
    for turn in range(TURNS):
        spent.append(tuple(_seconds(engine, feeds[turn % len(feeds)]) for engine in engines))
        if perf_counter() - started > MOST_SECONDS:
            break
    return spent


def _seconds(engine: Engine, feeds: Mapping[str, Floats]) -> float:
    started = perf_counter()
    engine.run(feeds)
    return perf_counter() - started
