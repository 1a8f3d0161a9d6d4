"""Frames judged by several chains at once, each on cores of its own, and handed on in order.

A network of this size cannot keep two cores busy: two frames on one core each are judged faster
than one after the other on both. `dermedge bench` prints what that gives on a machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from runtime.machine import usable_cores
from runtime.sources import Item, Loaded

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Analysis, Chain

MOST_CHAINS = 4  # each holds the weights of every network
MOST_ON_GPU = 2  # one computes while the other's frame is prepared; more would only wait

Metadata = Callable[[str], Mapping[str, object]]
Judged = tuple[Item, Loaded, "Analysis | None"]


@contextmanager
def open_chains(
    bundle: LoadedBundle,
    backend: str,
    *,
    most: int = MOST_CHAINS,
    precision: str | None = None,
    self_test: bool = True,
) -> Iterator[list[Chain]]:
    """As many chains as there are cores, within reason. The first one takes the self-test."""
    from runtime.backends.registry import BACKENDS, choose_backend
    from runtime.chain import open_chain

    backend = choose_backend(backend)
    count = min(usable_cores(), MOST_ON_GPU if BACKENDS[backend].compiled else most)
    threads = usable_cores() // count
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                open_chain(
                    bundle, backend, self_test and not number, threads=threads, precision=precision
                )
            )
            for number in range(count)
        ]


def judge_ahead(
    chains: Sequence[Chain],
    loaded: Iterable[tuple[Item, Loaded]],
    metadata: Metadata,
    explain: bool = False,
) -> Generator[Judged, None, None]:
    """Every item with its analysis, or None where there is no frame. Close it to stop early."""
    free: SimpleQueue[Chain] = SimpleQueue()
    for chain in chains:
        free.put(chain)

    def judge(item: Item, found: Loaded) -> Analysis | None:
        if found.frame is None:
            return None
        chain = free.get()
        try:
            return chain.analyse(found.frame, metadata(item.file), explain)
        finally:
            free.put(chain)

    waiting: deque[tuple[Item, Loaded, Future[Analysis | None]]] = deque()
    with ThreadPoolExecutor(len(chains), "judge") as pool:
        try:
            for item, found in loaded:
                waiting.append((item, found, pool.submit(judge, item, found)))
                if len(waiting) > len(chains):
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _first(waiting: deque[tuple[Item, Loaded, Future[Analysis | None]]]) -> Judged:
    item, found, future = waiting.popleft()
    return item, found, future.result()
