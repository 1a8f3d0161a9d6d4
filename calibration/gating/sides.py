"""Reference and candidate on the same images, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from calibration.judged import Flags, Floats, Judged, Judgement
from runtime.errors import UsageError
from train.data.metrics import RESAMPLES, overlap
from train.data.splits import make_groups

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]

REFER, LEAVE, OPEN = 1, 0, -1  # OPEN: no decision, whatever the reason


@dataclass(frozen=True)
class Sides:
    """Row `i` of both is the same image; `thresholds` is what its decision was made with."""

    reference: Judged
    candidate: Judged
    thresholds: Floats
    segments: bool = True  # whether the chain has a segmenter at all

    def __post_init__(self) -> None:
        if self.reference.table.ids != self.candidate.table.ids:
            raise ValueError("both sides must have judged the same images in the same order")

    @property
    def ids(self) -> tuple[str, ...]:
        return self.reference.table.ids

    @cached_property
    def outcomes(self) -> tuple[Codes, Codes]:
        return _outcomes(self.reference), _outcomes(self.candidate)

    @cached_property
    def known(self) -> Flags:
        """Images that the reference scored: on the others there is nothing to be lost."""
        return self.reference.scored

    @cached_property
    def unscored(self) -> Flags:
        """Images on which the candidate fails: NaN, infinity, an error, a file it cannot read."""
        return self.known & ~self.candidate.scored

    @cached_property
    def both(self) -> Flags:
        return self.known & self.candidate.scored

    @cached_property
    def decided_positives(self) -> Flags:
        """Positives that the reference decided. What it abstains on is no evidence of agreement."""
        return self.known & self.reference.malignant & (self.outcomes[0] != OPEN)

    @cached_property
    def flips(self) -> Flags:
        """Another decision, a decision that is no more, or one where there was none."""
        before, after = self.outcomes
        return self.known & (before != after)

    @cached_property
    def changes(self) -> Floats:
        """The largest change of any class's probability in each image; NaN where there is none."""
        difference = np.abs(self.reference.probabilities - self.candidate.probabilities)
        return np.asarray(difference.max(axis=1))

    @cached_property
    def member_changes(self) -> dict[str, Floats]:
        """The same for each member alone. An ensemble may hide that one of its networks broke."""
        pairs = list(zip(self.reference.judgements, self.candidate.judgements, strict=True))
        said = [
            (one.result.members, other.result.members)
            for one, other in pairs
            if one.result is not None and other.result is not None
        ]
        names = {name for one, other in said for name in (*one, *other)}
        return {
            name: np.array(
                [
                    _largest(one[name], other[name])
                    for one, other in said
                    if name in one and name in other
                ]
            )
            for name in sorted(names)
        }

    @cached_property
    def overlaps(self) -> Floats:
        """Jaccard index of both masks in each image. Two that both find nothing agree."""
        pairs = zip(self.reference.judgements, self.candidate.judgements, strict=True)
        return np.array([_overlap(one, other) for one, other in pairs])

    @cached_property
    def groups(self) -> tuple[Rows, ...]:
        """Rows of one patient, lesion or file: they are lost together, so they count once."""
        place = {name: row for row, name in enumerate(self.ids)}
        groups = make_groups(self.reference.table, ("id", "patient", "lesion", "content"))
        return tuple(np.array([place[name] for name in group]) for group in groups)

    def count_groups(self, rows: Flags) -> int:
        return sum(bool(rows[group].any()) for group in self.groups)

    def draws(self, seed: int = 0) -> Iterator[Rows]:
        """Whole groups drawn with replacement, the same rows for both sides."""
        rng = np.random.default_rng(seed)
        order = np.concatenate(self.groups)
        sizes = np.array([len(group) for group in self.groups])
        starts = np.cumsum(sizes) - sizes
        for _ in range(RESAMPLES):
            drawn = rng.integers(0, len(sizes), len(sizes))
            if len(order) == len(sizes):
                yield order[drawn]
            else:
                spans = [np.arange(starts[g], starts[g] + sizes[g]) for g in drawn]
                yield order[np.concatenate(spans)]


def pooled(parts: Sequence[Sides]) -> Sides:
    """Sides of several folds as one, each with its own threshold."""
    from calibration.judged import pool

    ids = [name for part in parts for name in part.ids]
    if len(set(ids)) != len(ids):
        twice = sorted(name for name in set(ids) if ids.count(name) > 1)
        raise UsageError(
            "Two of the fold bundles hold the same images out.",
            got=f"{twice[0]} and {len(twice) - 1} more in both" if len(twice) > 1 else twice[0],
            expected="folds of one run, in which every image is held out once",
            remedy="name one bundle for each fold",
        )
    return Sides(
        pool([part.reference for part in parts]),
        pool([part.candidate for part in parts]),
        np.concatenate([part.thresholds for part in parts]),
        parts[0].segments,
    )


def _outcomes(judged: Judged) -> Codes:
    decisions = (j.result.refer if j.result is not None else None for j in judged.judgements)
    codes = {True: REFER, False: LEAVE, None: OPEN}
    return np.array([codes[decision] for decision in decisions], dtype=np.int8)


def _largest(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return max(abs(one[name] - other[name]) for name in one)


def _overlap(one: Judgement, other: Judgement) -> float:
    masks = one.mask, other.mask
    if masks[0] is None or masks[1] is None:
        return 1.0 if masks[0] is masks[1] else 0.0
    if masks[0].shape != masks[1].shape:
        return 0.0
    return overlap(masks[0], masks[1])[1]
