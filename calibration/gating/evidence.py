"""Which images may speak: labelled, and none that the networks were trained or quantised on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.label_map import class_of
from calibration.quantising.record import images_used, read_record
from calibration.training_images import TrainingSets, same_name
from runtime.errors import GateError, UsageError
from train.data.content import sha256
from train.data.open_dataset import open_datasets
from train.data.own_csv import title_of
from train.data.splits import make_groups
from train.data.table import Sample, Table

if TYPE_CHECKING:
    from runtime.bundle import Bundle, ModelSpec
    from runtime.bundle_files import LoadedBundle


@dataclass(frozen=True)
class Data:
    """Labelled images, before any is set aside; `notes` are what a user should hear of them."""

    table: Table
    split: str | None
    trainings: TrainingSets
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.table.name}, {self.split}" if self.split else self.table.name

    def seen_by(self, bundle: LoadedBundle) -> frozenset[str]:
        """Ids among these that had, or may have had, a say in this bundle's networks."""
        return self._trained_on(bundle.spec) | self.quantised_on(bundle)

    def quantised_on(self, bundle: LoadedBundle) -> frozenset[str]:
        """Ids of images that 8 bits were calibrated or fine-tuned on, whatever they are called."""
        return self._with_content(images_used(bundle))

    def learned_from(self, bundle: LoadedBundle) -> frozenset[str]:
        """Ids of images that 8-bit networks learned from in a fine-tune."""
        record = read_record(bundle)
        if record is None or record.tuning is None:
            return frozenset()
        return self._with_content(image.sha256 for image in record.tuning.images)

    def _with_content(self, hashes: Iterable[str]) -> frozenset[str]:
        wanted = frozenset(hashes)
        if not wanted:
            return frozenset()
        return frozenset(name for name, content in self._contents.items() if content in wanted)

    @cached_property
    def _contents(self) -> dict[str, str]:
        return {sample.id: sha256(sample.image) for sample in self.table}

    def _trained_on(self, spec: Bundle) -> frozenset[str]:
        if self.trainings.recognised(spec):
            return self.trainings.seen_ids(spec)
        # A part of the data, or more than it: what is not known to be held out may be known.
        ids, held_out = frozenset(self.table.ids), frozenset(spec.provenance.held_out)
        return ids - held_out if ids & held_out else frozenset()

    def only(self, ids: frozenset[str]) -> Table:
        kept = (s for s in self.table if s.id in ids and self.split in (None, s.split))
        return Table.of(self.table.name, kept, self.table.classes)

    def tied_to(self, ids: frozenset[str]) -> frozenset[str]:
        """Ids of all that show a patient, a lesion or a file that one of these shows."""
        if not ids & frozenset(self.table.ids):
            return frozenset()
        groups = make_groups(self.table, ("id", "patient", "lesion", "content"))
        return frozenset(name for group in groups if not ids.isdisjoint(group) for name in group)


def open_data(
    paths: Sequence[Path], classes: Sequence[str], mapping: Mapping[str, str], split: str | None
) -> Data:
    tables = open_datasets(paths, None if mapping else classes)
    notes = [warning for table in tables for warning in table.warnings]
    samples = [sample for table in tables for sample in table]
    mapped = [replace(s, label=class_of(s.label, mapping, classes)) for s in samples]
    labelled = [s for s in mapped if s.label is not None]
    _require_classes(labelled, classes)
    if len(labelled) < len(samples):
        notes.append(f"{len(samples) - len(labelled)} images without a label are left out")
    names = [title_of(table, path) for table, path in zip(tables, paths, strict=True)]
    table = Table.of("+".join(names), labelled, classes)
    if split is not None and split not in table.splits:
        raise UsageError(
            f"The data has no split '{split}'.",
            got=", ".join(repr(name) for name in table.splits) or "no image",
            remedy="leave --split out to take every image",
        )
    return Data(table, split, TrainingSets.of(tables, classes), tuple(notes))


def unseen(data: Data, bundles: Sequence[LoadedBundle]) -> tuple[Table, list[str]]:
    """The images that none of these bundles' networks can know, and what to say of the others."""
    seen = frozenset[str]().union(*(data.seen_by(bundle) for bundle in bundles))
    asked = data.only(frozenset(data.table.ids))
    tied = data.tied_to(seen) - seen
    kept = data.only(frozenset(data.table.ids) - seen - tied)
    if not len(kept):
        raise UsageError(
            "The networks were made with every one of these images: they are no evidence."
            if len(asked)
            else "There is no labelled image to judge.",
            got=f"{len(asked)} images of {data.table.name}",
            expected="images that neither reference nor candidate was trained or quantised on",
            remedy="name other --data, or --folds with the bundles of `export --fold K`",
        )
    notes = []
    reasons = {
        "networks were trained or quantised on them": seen,
        "they show a patient, a lesion or a file that networks were trained or quantised on": tied,
    }
    for why, ids in reasons.items():
        if left_out := len(data.only(ids)):
            are = "image is" if left_out == 1 else "images are"
            notes.append(f"{left_out} {are} left out: {why}")
    for bundle in bundles:
        if read_record(bundle) is None and any(map(_has_int8, bundle.spec.models.values())):
            notes.append(f"{bundle.path} does not say which images its 8 bits were made with")
    strangers = [b.spec for b in bundles if not data.trainings.recognised(b.spec)]
    if same_name(kept, strangers):
        notes.append(
            "The networks were trained on a data set of the same name, which could not be compared "
            "image by image (it has changed, or only a part is here): if these are its images, "
            "they are no evidence"
        )
    elif missing := dict.fromkeys(n for b in strangers for n in data.trainings.missing(b)):
        notes.append(
            f"Whether networks were trained on any of these is not known: {', '.join(missing)} is "
            "not among the data. Name it with --data too, and what they know is left out"
        )
    return kept, notes


def held_out(data: Data, fold: LoadedBundle) -> Table:
    """A fold's own images. Their ids mean something only in the data that the run was made with."""
    spec = fold.spec
    if not data.trainings.recognised(spec):
        names = ", ".join(f"{d.name} ({d.images} images)" for d in spec.provenance.data)
        raise UsageError(
            f"The data is not what {fold.path} was trained on, so its held-out ids name nothing.",
            got=f"{data.table.name}, {len(data.table)} labelled images",
            expected=f"{names or 'data that the bundle names'}, unchanged",
            remedy="name the --data that `dermedge train` was given, all of it and nothing else",
        )
    table = data.only(frozenset(spec.provenance.held_out))
    if not len(table):
        raise UsageError(
            f"None of the images that {fold.path} holds out is there.",
            got=f"split '{data.split}'" if data.split else "no id in common",
            remedy="leave --split out",
        )
    if known := data.quantised_on(fold) & frozenset(table.ids):
        raise GateError(
            f"{fold.path} was quantised on images that it is to be judged on.",
            got=f"{len(known)} of {len(table)} held-out images in its calibration.json",
            expected="none of them",
            remedy="quantize and finetune the fold again with `--images` the data set itself: its "
            "held-out images are then left out",
        )
    return table


def _has_int8(model: ModelSpec) -> bool:
    return any(variant.precision == "int8" for variant in model.variants)


def _require_classes(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    strangers = sorted({s.label for s in samples if s.label is not None} - set(classes))
    if strangers:
        raise UsageError(
            "The data has labels that the bundle does not know.",
            got=", ".join(strangers),
            expected=", ".join(classes),
            remedy=" ".join(f"--map {name}=CLASS" for name in strangers[:5]),
        )
