"""Running both sides: over all images for the figures, and turn by turn for the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration.gating.comparable import require_threshold
from calibration.gating.sides import Sides, pooled
from calibration.judged import judge
from runtime.backends.registry import PRECISIONS, choose_variant
from runtime.errors import BundleError, InputError, UsageError
from runtime.host_chain import models_in_use

if TYPE_CHECKING:
    from runtime.bundle import Variant
    from runtime.bundle_files import LoadedBundle
    from train.data.table import Table

RACED = 16  # images that are timed
OWN_CHECK = 200  # images on which a candidate is held against its own float side


@dataclass(frozen=True)
class Match:
    """Two sides of one bundle, or of two, and the images to hold them against each other on."""

    reference: LoadedBundle
    candidate: LoadedBundle
    table: Table
    precision: str | None = None  # of the reference; the candidate runs what it runs by default

    @classmethod
    def within(cls, bundle: LoadedBundle, table: Table) -> Match:
        """A quantised bundle keeps its float files: it holds both sides."""
        return cls(bundle, bundle, table, PRECISIONS[0])

    def files(self, backend: str) -> tuple[dict[str, Variant], dict[str, Variant]]:
        """What either side runs, by model."""
        sides = ((self.reference, self.precision), (self.candidate, None))
        before, after = (
            {
                name: choose_variant(name, bundle.spec.models[name], backend, precision)
                for name in models_in_use(bundle.spec)
            }
            for bundle, precision in sides
        )
        return before, after

    def require_difference(self, backend: str) -> None:
        before, after = self.files(backend)
        if {n: v.sha256 for n, v in before.items()} == {n: v.sha256 for n, v in after.items()}:
            kinds = ", ".join(sorted({variant.precision for variant in after.values()}))
            raise UsageError(
                f"Reference and candidate run the same files with {backend}.",
                got=f"{self.candidate.path} in {kinds} on both sides",
                expected="a candidate whose networks differ from the reference's",
                remedy="name the bundle that quantize wrote, and a --backend that runs its files",
            )

    def precisions(self, backend: str) -> tuple[str, str]:
        """All precisions that either side runs, as one word."""
        before, after = (
            "+".join(dict.fromkeys(sorted(variant.precision for variant in side.values())))
            for side in self.files(backend)
        )
        return before, after

    def self_test(self, backend: str) -> str | None:
        """Why the candidate fails its own golden images, or None. Whoever opens it would refuse it,
        and that is a verdict as any other: it must be recorded, so it is no error here."""
        from runtime.chain import open_chain
        from runtime.golden import check_golden

        if self.reference.spec.golden and not self.candidate.spec.golden:
            return "it has no golden images, and what it was made from has"
        with open_chain(self.candidate, backend, self_test=False) as chain:
            try:
                check_golden(chain)
            except BundleError as error:
                return error.one_line
        return None

    def run(self, backend: str, on_each: Callable[[], None]) -> Sides:
        """A reference that fails its golden images ends this with its BundleError."""
        before = judge(self.reference, self.table, backend, on_each, self.precision)
        after = judge(self.candidate, self.table, backend, on_each, self_test=False)
        thresholds = np.full(len(self.table), require_threshold(self.reference))
        segments = self.reference.spec.chain.segment is not None
        return Sides(before, after, thresholds, segments)


@dataclass(frozen=True, slots=True)
class Cost:
    """What either side takes; a ratio below 1 is the candidate's gain."""

    reference_ms: float
    candidate_ms: float
    time_ratio: float
    reference_bytes: int
    candidate_bytes: int

    @property
    def size_ratio(self) -> float:
        return self.candidate_bytes / self.reference_bytes


def run_all(matches: Sequence[Match], backend: str, on_each: Callable[[], None]) -> Sides:
    return pooled([match.run(backend, on_each) for match in matches])


def spread(table: Table, count: int) -> Table:
    """Some images from all over the table, always the same ones."""
    if len(table) <= count:
        return table
    places = np.linspace(0, len(table) - 1, count).astype(int)
    return table.select([table.ids[place] for place in places])


def cost(match: Match, backend: str) -> Cost:
    sizes = [
        sum((bundle.path / variant.file).stat().st_size for variant in files.values())
        for bundle, files in zip(
            (match.reference, match.candidate), match.files(backend), strict=True
        )
    ]
    times = _race(match, backend)
    medians = [float(np.median(side)) if side else float("nan") for side in times]
    pairs = [after / before for before, after in zip(*times, strict=True)]
    ratio = float(np.median(pairs)) if pairs else float("nan")
    return Cost(medians[0], medians[1], ratio, sizes[0], sizes[1])


def _race(match: Match, backend: str) -> tuple[list[float], list[float]]:
    """Milliseconds a frame of either side, in turns, so that a busy moment strikes both.

    Who goes first changes with every frame: the second finds the frame in the caches.
    """
    from runtime.chain import open_chain
    from runtime.decode import read_image

    times: tuple[list[float], list[float]] = ([], [])
    with (
        open_chain(match.reference, backend, precision=match.precision) as before,
        open_chain(match.candidate, backend, self_test=False) as after,
    ):
        turns = [(before, times[0]), (after, times[1])]
        for number, sample in enumerate(spread(match.table, RACED)):
            try:
                frame = read_image(sample.image).frame
            except InputError:
                continue
            if not number:  # the first frame pays for what engines put off until then
                for chain, _ in turns:
                    chain.process(frame)
            for chain, noted in turns if number % 2 else turns[::-1]:
                noted.append(chain.process(frame).timing_ms["total"])
    return times
