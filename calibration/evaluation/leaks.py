"""Whether a bundle was trained on the images that it is evaluated on, as far as can be told.

Where a training set is recognised its images are known one by one, and those shared, or shown
again under another name, can be counted. Where none is, one of the same name is a suspicion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.evaluation.selection import Selection, join
from calibration.training_images import TrainingSets, same_name
from runtime.bundle import Bundle
from train.data.fingerprints import Fingerprints, Progress
from train.data.overlaps import Overlap, find_overlaps, find_within
from train.data.table import Table

SHOWN = 20


@dataclass(frozen=True)
class Leaks:
    """`trained_on`: evaluated images that a bundle's networks were trained on. `copies`: images
    that tie to one of those. Both None where the training images are not known."""

    trained_on: int | None
    copies: tuple[Overlap, ...] | None
    repeats: tuple[Overlap, ...] | None  # None where it was not looked for
    same_name: bool

    def warnings(self, count: int) -> list[str]:
        found = []
        if self.trained_on:
            what = "All" if self.trained_on == count else f"{self.trained_on:,} of"
            found.append(
                f"{what} {count:,} images are TRAINING IMAGES of this bundle. Figures on images "
                "that the networks have learned by heart say nothing about new patients: do not "
                "quote them."
            )
        elif self.trained_on is None and self.same_name:
            found.append(
                "This bundle was trained on a data set of the same name. Its images could not be "
                "compared one by one (the set has changed, or only a part of it is here): if it "
                "was trained on these, the figures are worth nothing."
            )
        if self.copies:
            found.append(
                f"{len(self.copies):,} ties between these images and training images (same "
                "patient, lesion or picture): the figures are better than new patients' would be."
            )
        return found

    def as_dict(self) -> dict[str, object]:
        def listed(overlaps: tuple[Overlap, ...] | None) -> object:
            if overlaps is None:
                return None
            return {"count": len(overlaps), "first": [o.as_dict() for o in overlaps[:SHOWN]]}

        return {
            "trained_on": self.trained_on,
            "copies_of_training_images": listed(self.copies),
            "repeats": listed(self.repeats),
            "training_set_of_same_name": self.same_name,
        }


def find_leaks(
    opened: Sequence[Table],
    selection: Selection,
    bundles: Sequence[Bundle],
    store: Fingerprints | None,
    progress: Progress | None = None,
) -> Leaks:
    """`opened` are the tables as their readers gave them. Without a store no image is compared
    with another."""
    whole = join(opened)
    sets = TrainingSets.of(opened, bundles[0].classes)
    training = [sets.seen_ids(bundle) for bundle in bundles]
    shared: int | None = None
    copies: list[Overlap] | None = None
    if any(sets.recognised(bundle) for bundle in bundles):
        shared, copies = 0, None if store is None else []
        for part, ids in zip(selection.parts, training, strict=True):
            here = [name for name in part.ids if name in ids]
            shared += len(here)
            if copies is not None and ids:
                fresh = part.select([name for name in part.ids if name not in ids])
                there = whole.select([name for name in whole.ids if name in ids])
                copies += find_overlaps(fresh, there, store=store, progress=progress)
    repeats = None
    if store is not None:
        repeats = tuple(find_within(selection.table, store=store, progress=progress).repeats)
    return Leaks(
        shared,
        None if copies is None else tuple(copies),
        repeats,
        not selection.held_out and same_name(selection.table, bundles),
    )
