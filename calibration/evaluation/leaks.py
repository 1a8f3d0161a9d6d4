"""Whether a bundle was trained on the images that it is evaluated on, as far as can be told.

Where a training set is recognised its images are known one by one, and those shared, or shown
again under another name, can be counted. Where none is, one of the same name is a suspicion.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.evaluation.selection import Selection
from calibration.training_images import TrainingSets, same_name
from runtime.bundle import Bundle
from runtime.errors import UsageError
from runtime.out_folder import write_whole
from train.data.content import sha256
from train.data.fingerprints import Fingerprints, Progress
from train.data.overlaps import MEANING, Overlap, find_overlaps, find_within, same_names
from train.data.table import Table

SHOWN = 20
FIRST = 5
TRAINED_ON, QUANTISED_ON = "a training image", "8 bits were calibrated or tuned on it"


@dataclass(frozen=True)
class Leaks:
    """`trained_on`: evaluated images that a bundle's networks were trained on, None where those are
    not known. `copies`: ties of others to them, None where those are not known. `quantised_on`:
    images beside both that a bundle's 8 bits were calibrated or tuned on, which its files know by
    their content. `missing` are the training sets that are not at hand."""

    trained_on: tuple[str, ...] | None
    copies: tuple[Overlap, ...] | None
    repeats: tuple[Overlap, ...] | None  # None where it was not looked for
    same_name: bool
    missing: tuple[str, ...] = ()
    quantised_on: tuple[str, ...] = ()

    def warnings(self, count: int) -> list[str]:
        found = []
        if self.trained_on:
            known = len(self.trained_on)
            what = "All" if known == count else f"{known:,} of"
            found.append(
                f"{what} {count:,} images are TRAINING IMAGES of this bundle. Figures on images "
                "that the networks have learned by heart say nothing about new patients: do not "
                "quote them."
            )
        elif self.trained_on is None and self.same_name:
            found.append(
                "This bundle was trained on a data set of the same name. Its images could not be "
                "compared one by one (the set has changed, or only a part of it is here): if it "
                "was trained on these, the figures are worth nothing. --trained-on DATA names them."
            )
        if self.copies:
            found.append(
                f"{len(self.copies):,} ties between these images and training images (same "
                "patient, lesion or picture): the figures are better than new patients' would be."
            )
        if self.quantised_on:
            found.append(
                f"On {len(self.quantised_on):,} of {count:,} images the bundle's 8 bits were "
                "calibrated or tuned: the figures are better than new patients' would be."
            )
        return found

    @property
    def notes(self) -> list[str]:
        """What is not known is no fault of the figures, but a reader should know it."""
        if self.missing and not self.same_name:
            return [
                "Whether these images overlap with training images is not known: "
                f"{', '.join(self.missing)} is not at hand. --trained-on DATA compares with it."
            ]
        if self.trained_on is None and not self.missing:
            return [
                "The bundle does not say what it was trained on, so no overlap with training "
                "images was looked for. --trained-on DATA compares with it."
            ]
        return []

    @property
    def overlaps(self) -> tuple[Overlap, ...]:
        """Everything that makes figures better than new patients' would be."""
        seen = [Overlap("id", name, name, TRAINED_ON) for name in self.trained_on or ()]
        return (*seen, *(self.copies or ()))

    def name(self, file: Path) -> None:
        """All of them, in a file that is there only if there are some."""
        if self.overlaps or self.quantised_on:
            write_whole(file, _as_csv(self.overlaps, self.quantised_on))
        else:
            file.unlink(missing_ok=True)

    def refuse(self, count: int, file: Path) -> None:
        """Nothing is measured on images that the networks know, unless that is asked for."""
        if not self.overlaps and not self.quantised_on:
            return
        tied: dict[str, Overlap] = {}
        for one in self.overlaps:
            tied.setdefault(one.a_id, one)
        known, quantised = len(self.trained_on or ()), len(self.quantised_on)
        shown = [f"{o.a_id} = {o.b_id} ({MEANING[o.kind]})" for o in tied.values()]
        shown += [f"{name} ({QUANTISED_ON})" for name in self.quantised_on]
        got = [f"{known:,} training images among {count:,}"] if known else []
        got += [f"{len(tied) - known:,} others that tie to training images"] if tied else []
        got += [f"{quantised:,} that 8 bits were calibrated or tuned on"] if quantised else []
        raise UsageError(
            "These images overlap with those that the bundle was made from.",
            got=f"{', '.join(got)}; first {', '.join(shown[:FIRST])}",
            expected="images of patients that the networks have not seen",
            remedy=f"{file} names them all: leave them out, or give --all-images to measure on "
            "them all the same, with a warning in every report",
        )

    def as_dict(self) -> dict[str, object]:
        def listed(overlaps: tuple[Overlap, ...] | None) -> object:
            if overlaps is None:
                return None
            return {"count": len(overlaps), "first": [o.as_dict() for o in overlaps[:SHOWN]]}

        return {
            "trained_on": None if self.trained_on is None else len(self.trained_on),
            "copies_of_training_images": listed(self.copies),
            "quantised_on": len(self.quantised_on),
            "repeats": listed(self.repeats),
            "training_set_of_same_name": self.same_name,
        }


def find_leaks(
    opened: Sequence[Table],
    selection: Selection,
    bundles: Sequence[Bundle],
    store: Fingerprints | None,
    progress: Progress | None = None,
    told: Sequence[Table] = (),
    quantised: Sequence[frozenset[str]] = (),
) -> Leaks:
    """`opened` are the tables as their readers gave them, `told` what a user says was trained on,
    `quantised` the SHA-256 of what each bundle's 8 bits were made on. Without a store only names
    and these are compared: no picture is with another."""
    sets = TrainingSets.of(opened, bundles[0].classes, told)
    training = [sets.seen(bundle) for bundle in bundles]
    shared: list[str] | None = None
    copies: list[Overlap] | None = None
    if any(training):
        shared, copies = [], []
        for part, seen in zip(selection.parts, training, strict=True):
            images = {(s.id, s.image) for table in seen for s in table}
            shared += [s.id for s in part if (s.id, s.image) in images]
            # Strangers are in no figure, and may well be made from training images.
            mine = [s for s in part if s.label is None or s.label in selection.classes]
            fresh = part.select([s.id for s in mine if (s.id, s.image) not in images])
            for table in seen:
                copies += (
                    same_names(fresh, table)
                    if store is None
                    else find_overlaps(fresh, table, store=store, progress=progress)
                )
    known = {*(shared or ()), *(one.a_id for one in copies or ())}
    quantised_on: list[str] = []
    for part, used in zip(selection.parts, quantised or [frozenset()] * len(bundles), strict=True):
        if used:  # each picture is read from the disk for it
            fresh = part.select([name for name in part.ids if name not in known])
            quantised_on += [sample.id for sample in fresh if sha256(sample.image) in used]
    repeats = None
    if store is not None:
        repeats = tuple(find_within(selection.table, store=store, progress=progress).repeats)
    return Leaks(
        None if shared is None else tuple(shared),
        None if copies is None else tuple(copies),
        repeats,
        not selection.held_out and same_name(selection.table, bundles),
        tuple(dict.fromkeys(name for bundle in bundles for name in sets.missing(bundle))),
        tuple(quantised_on),
    )


def _as_csv(overlaps: Sequence[Overlap], quantised_on: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", "training image", "tie", "detail"])
    writer.writerows([one.a_id, one.b_id, MEANING[one.kind], one.detail] for one in overlaps)
    writer.writerows([name, "", "", QUANTISED_ON] for name in quantised_on)
    return text.getvalue().encode("utf-8", "backslashreplace")
