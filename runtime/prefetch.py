"""Loading ahead: items are decoded in threads while the chain works, in order and boundedly.

OpenCV and hashing let go of Python's lock, so decoding runs beside inference. The bound is small
because a frame may have 100 megapixels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread

from runtime.machine import usable_cores
from runtime.sources import Item, Known, Loaded

WORKERS = 2  # threads that decode, where there are as many cores
DEPTH = 3  # items decoded or being decoded, beside the one that the chain has
POLL_SECONDS = 0.1  # how soon a feeder that has nowhere to put notices that it may stop

_Ahead = tuple[Item, "Future[Loaded]"] | BaseException | None


def load_ahead(
    items: Iterator[Item], known: Known, workers: int | None = None
) -> Generator[tuple[Item, Loaded], None, None]:
    """Every item with what it loaded, in the order of the items. Close it to stop early."""
    workers = min(WORKERS, usable_cores()) if workers is None else workers
    queue: Queue[_Ahead] = Queue(DEPTH)
    stop = Event()
    with ThreadPoolExecutor(workers, "decode") as pool:

        def put(entry: _Ahead) -> None:
            while not stop.is_set():
                with suppress(Full):
                    queue.put(entry, timeout=POLL_SECONDS)
                    return

        def feed() -> None:
            try:
                for item in items:  # a video decodes here
                    if stop.is_set():
                        return
                    put((item, pool.submit(item.load, known)))
                put(None)
            except BaseException as exc:  # handed to the thread that waits for it
                put(exc)

        feeder = Thread(target=feed, name="feed")
        feeder.start()
        try:
            while (entry := queue.get()) is not None:
                if isinstance(entry, BaseException):
                    raise entry
                item, future = entry
                yield item, future.result()
        finally:
            stop.set()
            feeder.join()
            pool.shutdown(cancel_futures=True)
