"""A quantised bundle fine-tuned: images, each model, what became of it, and the new bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from calibration.quantising.bundle import (
    INT8,
    Making,
    backends_asked,
    check_out,
    finish,
    judge_of,
)
from calibration.quantising.loss import Loss
from calibration.quantising.record import (
    CalibrationRecord,
    LossRecord,
    ModelRecord,
    TuningRecord,
    read_record,
)
from calibration.quantising.samples import Samples, list_images, take_samples
from runtime.bundle_files import LoadedBundle, load_bundle
from runtime.errors import BundleError, InputError, UsageError
from runtime.target_folder import beside
from train.finetuning.graph_network import GraphNetwork
from train.finetuning.tuning import Plan, tune

if TYPE_CHECKING:
    from calibration.quantising.loss import Judge
    from runtime.bundle import ModelSpec

Step = Callable[[str, int], None]
"""Told what is done now, and how often it will be."""

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
    names = _models(bundle, record, order.models)
    backends = backends_asked([order.backend] if order.backend else [])
    items, held_out = list_images(order.images, bundle.spec.provenance.held_out)
    count = min(order.count, len(items))
    samples = take_samples(bundle, items, count, backends[0], lambda: step("images", count))
    judged, trained = _parted(samples)
    made: dict[str, Tuned] = {}
    for name in names:
        made[name] = _tune(bundle, name, backends[0], trained, judged, order.plan, step)
    helped = {name: tuned for name, tuned in made.items() if tuned.helped}
    if not helped:
        raise BundleError(
            "The fine-tune made no network better.",
            got="; ".join(
                f"{n}: {t.before.mean:.4f} → {t.after.mean:.4f}" for n, t in made.items()
            ),
            expected="answers nearer to the float networks'",
            remedy="more images, another --rate, or the bundle as quantize made it",
        )
    with beside(order.out) as folder:
        making = Making.copy_of(bundle, folder)
        making.fields["version"] = f"{bundle.spec.version}-tuned"
        for name, tuned in helped.items():
            (folder / _int8_file(bundle.spec.models[name])).write_bytes(tuned.content)
        record = _with_tuning(record, made, order.plan, trained, judged)
        record = record.model_copy(update={"held_out": held_out})
        totals = {"chain": len(judged.images)}
        record = finish(
            making, record, judged, items, backends, lambda what: step(what, totals.get(what, 1))
        )
    return load_bundle(order.out), record


def _tune(
    bundle: LoadedBundle,
    name: str,
    backend: str,
    trained: Samples,
    judged: Samples,
    plan: Plan,
    step: Step,
) -> Tuned:
    spec = bundle.spec.models[name]
    judge: Judge = judge_of(bundle, name, backend, judged)
    before = (bundle.path / _int8_file(spec)).read_bytes()
    teacher = onnx.load(str(bundle.path / _float_file(spec)))
    student = GraphNetwork(onnx.load_from_string(before))
    student.start_from(teacher)
    feeds = trained.feeds[name]
    steps = plan.steps(len(feeds))
    tune(student, GraphNetwork(teacher), spec, feeds, plan, lambda: step(name, steps))
    content = student.to_onnx().SerializeToString()
    return Tuned(content, judge.of(before), judge.of(content))


def _with_tuning(
    record: CalibrationRecord,
    made: Mapping[str, Tuned],
    plan: Plan,
    trained: Samples,
    judged: Samples,
) -> CalibrationRecord:
    models = {name: _told(model, made.get(name)) for name, model in record.models.items()}
    tuning = TuningRecord(
        images=tuple(trained.images),
        judged_on=tuple(judged.images),
        passes=plan.passes,
        batch=plan.batch,
        rate=plan.rate,
    )
    return record.model_copy(update={"models": models, "tuning": tuning})


def _told(model: ModelRecord, tuned: Tuned | None) -> ModelRecord:
    """A model that the fine-tune did not help keeps its file, and its loss on the new images."""
    if tuned is None:
        return model
    shipped = tuned.after if tuned.helped else tuned.before
    return model.model_copy(
        update={"loss": _loss(shipped), "loss_before_tuning": _loss(tuned.before)}
    )


def _loss(loss: Loss) -> LossRecord:
    return LossRecord(mean=round(loss.mean, 6), worst=round(loss.worst, 6))


def _parted(samples: Samples) -> tuple[Samples, Samples]:
    """Those that judge, and those that are trained on. They are in random order already."""
    if len(samples.images) < FEWEST:
        raise InputError(
            "There are too few images to fine-tune on.",
            got=f"{len(samples.images)} that the bundle can judge",
            expected=f"at least {FEWEST}; hundreds are better",
            remedy="--images with a larger folder; they need no labels",
        )
    first = len(samples.images) // JUDGED
    return samples.part(slice(None, first)), samples.part(slice(first, None))


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


def _models(bundle: LoadedBundle, record: CalibrationRecord, asked: Sequence[str]) -> list[str]:
    can = [name for name, model in record.models.items() if model.quantised]
    if unknown := [name for name in asked if name not in can]:
        raise UsageError(
            f"'{unknown[0]}' is no model in 8 bits.",
            expected=", ".join(can),
            remedy="leave --models out for all of them",
        )
    return [name for name in can if not asked or name in asked]


def _int8_file(spec: ModelSpec) -> str:
    return next(variant.file for variant in spec.variants if variant.precision == INT8)


def _float_file(spec: ModelSpec) -> str:
    """In 16 bits where there is one: the 8-bit graph was made of that, so that names agree."""
    files = {variant.precision: variant.file for variant in spec.variants}
    return files.get("fp16") or files["fp32"]
