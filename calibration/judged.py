"""What a bundle says of labelled images: the one thing that evaluation and the gate both look at.

The images go through the chain that a scan uses, several side by side, so that what is measured
is what a device will do, decoding, self-test and abstention included.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.judging import judge_ahead, open_chains
from runtime.prefetch import load_ahead
from runtime.sources import Item, load_image
from train.data.table import Sample, Table, metadata

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.chain import Analysis, Chain
    from runtime.lesion import Lesion
    from runtime.preprocess import Image
    from runtime.record import Result
    from runtime.sources import Loaded

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Mask = npt.NDArray[np.uint8]

MeasureSkin = Callable[["Image", "Lesion"], float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One image: its record, and the cleaned mask in bits. No result where it cannot be read."""

    result: Result | None
    mask_shape: tuple[int, int] | None
    mask_bits: bytes = b""
    problem: str | None = None
    skin: float = float("nan")  # what `measure_skin` said, where a lesion was found

    @property
    def mask(self) -> Mask | None:
        if self.mask_shape is None:
            return None
        height, width = self.mask_shape
        bits = np.frombuffer(self.mask_bits, np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width)


@dataclass(frozen=True)
class Judged:
    """Rows are the table's samples, in its order."""

    table: Table
    classes: tuple[str, ...]
    positive: tuple[str, ...]
    score: str
    judgements: tuple[Judgement, ...]

    @cached_property
    def probabilities(self) -> Floats:
        """Images × classes, after the temperature; NaN where there is none."""
        rows = np.full((len(self.table), len(self.classes)), np.nan)
        for row, judgement in zip(rows, self.judgements, strict=True):
            if judgement.result is not None and judgement.result.probabilities:
                row[:] = [judgement.result.probabilities[name] for name in self.classes]
        return rows

    @cached_property
    def scores(self) -> Floats:
        return self.probabilities[:, self.classes.index(self.score)]

    @cached_property
    def scored(self) -> Flags:
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    @cached_property
    def targets(self) -> npt.NDArray[np.int64]:
        """Labels as positions in the bundle's classes, which all of them must be among."""
        return self.table.with_classes(self.classes).targets

    @cached_property
    def malignant(self) -> Flags:
        return np.isin(self.targets, [self.classes.index(name) for name in self.positive])

    @cached_property
    def statuses(self) -> tuple[str, ...]:
        return tuple(j.result.status if j.result else "unreadable" for j in self.judgements)

    @cached_property
    def skin(self) -> Floats:
        return np.array([judgement.skin for judgement in self.judgements], dtype=np.float64)

    def select(self, ids: Sequence[str]) -> Judged:
        """The same judgements of these images, in the order of `ids`."""
        place = {name: row for row, name in enumerate(self.table.ids)}
        kept = tuple(self.judgements[place[name]] for name in ids)
        return replace(self, table=self.table.select(ids), judgements=kept)


def judge(
    bundle: LoadedBundle,
    table: Table,
    backend: str = "auto",
    on_each: Callable[[], None] = lambda: None,
    precision: str | None = None,
    measure_skin: MeasureSkin | None = None,
    self_test: bool = True,
) -> Judged:
    """Run a bundle over a table. `measure_skin` sees each frame that a lesion was found in.

    `precision` is as a chain takes it: None runs what the bundle means for the backend. Without
    `self_test` a bundle that fails its golden images is run all the same.
    """
    opened = open_chains(bundle, backend, precision=precision, self_test=self_test)
    with opened as chains:
        judgements = tuple(_each(chains, table, on_each, measure_skin))
    spec = bundle.spec
    return Judged(table, spec.classes, spec.positive, spec.decision.score, judgements)


def pool(parts: Sequence[Judged]) -> Judged:
    """Several bundles' held-out images as one set: each image judged by the bundle it was kept
    from. Their tables must not share an id."""
    first = parts[0]
    samples = [sample for part in parts for sample in part.table]
    classes = tuple(dict.fromkeys(name for part in parts for name in part.table.classes))
    table = Table.of(first.table.name, samples, classes)
    judgements = tuple(judgement for part in parts for judgement in part.judgements)
    return Judged(table, first.classes, first.positive, first.score, judgements)


def _each(
    chains: Sequence[Chain],
    table: Table,
    on_each: Callable[[], None],
    measure_skin: MeasureSkin | None,
) -> Iterator[Judgement]:
    known = {sample.id: metadata(sample) for sample in table}
    ahead = load_table(table)
    judged = judge_ahead(chains, ahead, lambda file: known[file])
    with closing(ahead), closing(judged):
        for _, loaded, analysis in judged:
            yield _judgement(loaded, analysis, measure_skin)
            on_each()


def load_table(table: Table) -> Generator[tuple[Item, Loaded], None, None]:
    """Every image, called by its id, in the table's order. Close it to stop early."""
    return load_ahead(map(_item, table), lambda source, sha256: False)


def _item(sample: Sample) -> Item:
    return Item(sample.id, sample.id, partial(load_image, sample.image, sample.id))


def _judgement(
    loaded: Loaded, analysis: Analysis | None, measure_skin: MeasureSkin | None
) -> Judgement:
    if analysis is None or loaded.frame is None:
        return Judgement(None, None, problem=loaded.error.one_line if loaded.error else None)
    result = analysis.result.model_copy(update={"sha256": loaded.sha256})
    if analysis.lesion is None:
        return Judgement(result, None)
    mask = analysis.lesion.mask
    height, width = mask.shape
    skin = float("nan") if measure_skin is None else measure_skin(loaded.frame, analysis.lesion)
    return Judgement(result, (height, width), np.packbits(mask).tobytes(), skin=skin)
