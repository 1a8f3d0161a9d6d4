"""Frames judged by several chains at once, each on cores of its own, and handed on in order.

A network of this size cannot keep two cores busy: two frames on one core each are judged faster
than one after the other on both. `dermedge bench` prints what that gives on a machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from runtime.machine import usable_cores
from runtime.sources import Item, Loaded

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Analysis, Chain

MOST_CHAINS = 4  # each holds the weights of every network
MOST_ON_GPU = 2  # one computes while the other's frame is prepared; more would only wait

Metadata = Callable[[str], Mapping[str, object]]
Judged = tuple[Item, Loaded, "Analysis | None"]
Group = list[tuple[Item, Loaded]]
Task = TypeVar("Task")
Done = TypeVar("Done")


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
    if BACKENDS[backend].compiled:
        with _on_gpu(bundle, backend, precision, self_test) as chains:
            yield chains
        return
    count = min(usable_cores(), most)
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


@contextmanager
def _on_gpu(
    bundle: LoadedBundle, backend: str, precision: str | None, self_test: bool
) -> Iterator[list[Chain]]:
    """Of the same engines, and those for the largest batch that was built."""
    from runtime.device.device_chain import DeviceChain
    from runtime.device.opened import OpenedBundle, largest_batch
    from runtime.golden import check_golden

    batch = largest_batch(bundle, backend, precision)
    with ExitStack() as stack:
        opened = stack.enter_context(OpenedBundle(bundle, backend, precision, batch))
        chains = [stack.enter_context(DeviceChain(opened)) for _ in range(MOST_ON_GPU)]
        if self_test:
            check_golden(chains[0])
        yield [*chains]


def judge_ahead(
    chains: Sequence[Chain],
    loaded: Iterable[tuple[Item, Loaded]],
    metadata: Metadata,
    explain: bool = False,
) -> Generator[Judged, None, None]:
    """Every item with its analysis, or None where there is no frame. Close it to stop early."""

    def judge(chain: Chain, group: Group) -> list[Judged]:
        given = [(item, found.frame) for item, found in group if found.frame is not None]
        frames = [frame for _, frame in given]
        rows = [metadata(item.file) for item, _ in given]
        analyses = iter(chain.analyse_batch(frames, rows, explain))
        return [
            (item, found, None if found.frame is None else next(analyses)) for item, found in group
        ]

    groups = _grouped(loaded, min(chain.batch for chain in chains))
    with closing(shared(chains, groups, judge)) as done:
        for group in done:
            yield from group


def shared(
    chains: Sequence[Chain], tasks: Iterable[Task], work: Callable[[Chain, Task], Done]
) -> Generator[Done, None, None]:
    """What `work` makes of each task with a chain that is free, in the order of the tasks."""
    free: SimpleQueue[Chain] = SimpleQueue()
    for chain in chains:
        free.put(chain)

    def with_a_chain(task: Task) -> Done:
        chain = free.get()
        try:
            return work(chain, task)
        finally:
            free.put(chain)

    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(len(chains), "judge") as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(with_a_chain, task))
                if len(waiting) > len(chains):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _grouped(loaded: Iterable[tuple[Item, Loaded]], batch: int) -> Iterator[Group]:
    """As many frames at once as a chain judges at once; what has no frame takes no place."""
    group: Group = []
    frames = 0
    for item, found in loaded:
        group.append((item, found))
        frames += found.frame is not None
        if frames in (0, batch) or len(group) >= 2 * batch:
            yield group
            group, frames = [], 0
    if group:
        yield group
