"""A quantised bundle fine-tuned: images, each model, what became of it, and the new bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch

from calibration.quantising.bundle import (
    INT8,
    Making,
    backends_asked,
    check_out,
    finish,
    judge_of,
    pick_models,
)
from calibration.quantising.loss import Loss
from calibration.quantising.model import PROBES, half_form
from calibration.quantising.qdq import at_opset
from calibration.quantising.record import (
    CalibrationRecord,
    LossRecord,
    ModelRecord,
    TuningRecord,
    read_record,
)
from calibration.quantising.samples import Samples, list_images, take_samples
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.errors import BundleError, InputError
from runtime.target_folder import beside
from train.finetuning.graph_network import GraphNetwork, check_trainable
from train.finetuning.tuning import Plan, tune

if TYPE_CHECKING:
    from calibration.quantising.loss import Judge, Said
    from runtime.bundle import ModelSpec

Step = Callable[[str, int | None], None]
"""Told what is done now, and how often it will be where that is known."""

JUDGED = 10  # one image in so many is kept from training, to see whether it helped
FEWEST = 20


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    bundle: Path
    images: Path
    out: Path
    count: int
    plan: Plan
    models: tuple[str, ...] = ()
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    content: bytes
    before: Loss
    after: Loss

    @property
    def helped(self) -> bool:
        return self.after.mean < self.before.mean


def finetune_bundle(order: Order, step: Step) -> tuple[LoadedBundle, CalibrationRecord]:
    check_out(order.bundle, order.out)
    bundle = load_bundle(order.bundle)
    record = _record_of(bundle)
    can = [name for name, model in record.models.items() if model.quantised]
    names = pick_models(can, order.models, "no model in 8 bits")
    backends = backends_asked([order.backend] if order.backend else [])
    items, held_out = list_images(order.images, bundle.spec.provenance.held_out)
    for name in names:  # before hours are spent
        check_trainable(onnx.load(str(bundle.path / _int8_file(bundle.spec.models[name]))))
    count = min(order.count, len(items))
    samples = take_samples(bundle, items, count, backends[0], lambda: step("images", count))
    judged, trained = _parted(samples, record)
    made: dict[str, Tuned] = {}
    for name in names:
        judge = judge_of(bundle, name, backends[0], judged)
        bar = _bar(step, name, order.plan.steps(len(trained.images)))
        made[name] = _tune(bundle, judge, trained.feeds[name], order.plan, bar)
    if not any(tuned.helped for tuned in made.values()):
        raise BundleError(
            "The fine-tune made no network better.",
            got="; ".join(
                f"{n}: {t.before.mean:.4f} → {t.after.mean:.4f}" for n, t in made.items()
            ),
            expected="answers nearer to the float networks'",
            remedy="more images, another --rate, or the bundle as quantize made it",
        )
    tuning = TuningRecord(
        created=datetime.now(timezone.utc),
        models=tuple(names),
        images=tuple(trained.images),
        judged_on=tuple(judged.images),
        held_out=held_out,
        unreadable=tuple(samples.unreadable),
        passes=order.plan.passes,
        batch=order.plan.batch,
        rate=order.plan.rate,
        torch=torch.__version__,
    )
    models = {name: _told(model, made.get(name)) for name, model in record.models.items()}
    record = record.model_copy(update={"models": models, "tuning": tuning})
    with beside(order.out) as folder:
        making = Making.copy_of(bundle, folder)
        making.fields["version"] = f"{bundle.spec.version}-tuned"
        for name, tuned in made.items():
            if tuned.helped:
                (folder / _int8_file(bundle.spec.models[name])).write_bytes(tuned.content)
        record = finish(making, record, judged, items, backends, lambda what: step(what, None))
    return load_bundle(order.out), record


def _bar(step: Step, name: str, total: int) -> Callable[[], None]:
    return lambda: step(name, total)


def _tune(
    bundle: LoadedBundle, judge: Judge, feeds: Sequence[Said], plan: Plan, step: Callable[[], None]
) -> Tuned:
    """The teacher is the float graph that quantize put 8 bits into."""
    content = (bundle.path / _int8_file(judge.model)).read_bytes()
    before = at_opset(half_form(bundle, judge.model, feeds[:PROBES]))
    student = GraphNetwork(onnx.load_from_string(content))
    student.start_from(before)
    tune(student, GraphNetwork(before), judge.model, feeds, plan, step)
    tuned = student.to_onnx().SerializeToString()
    return Tuned(tuned, judge.of(content), judge.of(tuned))


def _told(model: ModelRecord, tuned: Tuned | None) -> ModelRecord:
    """A model that the fine-tune did not help keeps its file, and its loss on the new images."""
    if tuned is None:
        return model
    shipped = LossRecord.of(tuned.after if tuned.helped else tuned.before)
    before = LossRecord.of(tuned.before)
    return model.model_copy(update={"loss": shipped, "loss_before_tuning": before})


def _parted(samples: Samples, record: CalibrationRecord) -> tuple[Samples, Samples]:
    """Those that judge, and those that are trained on. As long as there are others, none judges
    that quantize has looked at: its choices were made on them."""
    if len(samples.images) < FEWEST:
        raise InputError(
            "There are too few images to fine-tune on.",
            got=f"{len(samples.images)} that the bundle can judge",
            expected=f"at least {FEWEST}; hundreds are better",
            remedy="--images with a larger folder; they need no labels",
        )
    used = record.images_used
    known = [image.sha256 in used for image in samples.images]
    rows = sorted(range(len(known)), key=known.__getitem__)  # stable: in random order otherwise
    first = len(rows) // JUDGED
    return samples.part(rows[:first]), samples.part(sorted(rows[first:]))


def _record_of(bundle: LoadedBundle) -> CalibrationRecord:
    record = read_record(bundle)
    if record is None:
        raise BundleError(
            f"{bundle.path} is not a quantised bundle.",
            got="no calibration.json",
            expected="a bundle that quantize wrote",
            remedy=f"dermedge quantize --bundle {bundle.path} --images DIR --out B8, then this",
        )
    if record.tuning is not None:
        raise BundleError(
            f"{bundle.path} has been fine-tuned already.",
            remedy="start again from what quantize wrote, with more --passes",
        )
    return record


def _int8_file(spec: ModelSpec) -> str:
    return next(variant.file for variant in spec.variants if variant.precision == INT8)
