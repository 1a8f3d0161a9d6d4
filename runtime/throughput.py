"""How near a whole scan comes to what its engines alone allow.

A scan decodes, draws and writes in threads beside the engines, and judges frames side by side on a
core each. It is measured here against the engines as one frame after the other runs them, with all
cores and nothing in between, block by block in turns. (Side by side engines get more out of the
same cores, so a scan may even pass them.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain as joined
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from runtime.out_folder import open_folder
from runtime.scan import scan
from runtime.sources import Sources

if TYPE_CHECKING:
    from runtime.chain import Chain
    from runtime.sources import Item

BLOCKS = 3


def compare_with_scan(
    chains: Sequence[Chain],
    items: Sequence[Item],
    rounds: int,
    engines_alone: Callable[[], object],
    progress: Callable[[float], None],
) -> dict[str, float]:
    """Frames a second of a scan and of `engines_alone`, which runs every engine once."""
    scan_s = engines_s = 0.0
    frames = rounds * len(items)
    for block in range(BLOCKS):
        progress(block / BLOCKS)
        scan_s += _scan_seconds(chains, items, rounds)
        started = perf_counter()
        for _ in range(frames):
            engines_alone()
        engines_s += perf_counter() - started
    total = frames * BLOCKS
    return {
        "frames": total,
        "scan": total / scan_s,
        "engines_alone": total / engines_s,
        "share": engines_s / scan_s,
    }


def _scan_seconds(chains: Sequence[Chain], items: Sequence[Item], rounds: int) -> float:
    with TemporaryDirectory(prefix="dermedge-bench-") as folder:
        out = open_folder(Path(folder), {}, resume=False)
        again = joined.from_iterable(repeat(items, rounds))
        sources = Sources("folder", Path(folder), (), again, rounds * len(items))
        started = perf_counter()
        scan(chains, sources, out, lambda file: {}, lambda progress: None)
        return perf_counter() - started
