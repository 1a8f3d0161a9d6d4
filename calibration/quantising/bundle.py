"""A bundle in 8 bits from one in float: samples, each model, the whole chain, records, seal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.quantising import report
from calibration.quantising.cache import FOLDER
from calibration.quantising.chain_check import compare_chains
from calibration.quantising.loss import MASK, Judge
from calibration.quantising.model import Quantised, quantise_model
from calibration.quantising.model_record import backends_for, model_record
from calibration.quantising.record import FILE, CalibrationRecord, ModelRecord
from calibration.quantising.samples import Samples, list_images, take_samples
from runtime import machine
from runtime.backends.registry import BACKENDS, available_backends, choose_backend
from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.card_section import drop_verdicts
from runtime.chain import open_chain
from runtime.errors import BackendError, BundleError, UsageError
from runtime.golden import measure_golden
from runtime.target_folder import beside, check_replaceable

if TYPE_CHECKING:
    from runtime.bundle import Bundle

Step = Callable[[str], None]
INT8 = "int8"


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    bundle: Path
    images: Path
    out: Path
    method: str = "auto"
    count: int = 100
    budget: float = 0.02
    mask_agreement: float = 0.95
    models: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()

    def budget_of(self, judge: Judge) -> float:
        """The largest loss that is accepted, in the unit of the model's own."""
        return 1 - self.mask_agreement if judge.measure == MASK else self.budget


@dataclass
class Making:
    """The bundle while it is made."""

    folder: Path
    fields: dict[str, Any]

    @classmethod
    def copy_of(cls, bundle: LoadedBundle, folder: Path) -> Making:
        for inside in bundle.spec.files:
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / inside, target)
        fields = fields_of(bundle)
        fields["created"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        fields["gate"]["result"] = None  # it was passed by other files
        fields["released"] = None
        drop_verdicts(folder)
        return cls(folder, fields)

    def add(self, name: str, made: Quantised, backends: Sequence[str]) -> None:
        """The 8-bit file stands first; where it is not faster, the next one is taken."""
        file = f"models/{name}.int8.onnx"
        (self.folder / file).parent.mkdir(exist_ok=True)
        (self.folder / file).write_bytes(made.content)
        (self.folder / FOLDER).mkdir(exist_ok=True)
        (self.folder / FOLDER / f"{name}.cache").write_text(made.ranges, encoding="utf-8")
        model = self.fields["models"][name]
        variant = {"precision": INT8, "file": file, "for": list(backends)}
        model["variants"] = [variant, *model["variants"]]

    def seal(self) -> LoadedBundle:
        return seal(self.folder, self.fields)


def quantise_bundle(order: Order, step: Step) -> tuple[LoadedBundle, CalibrationRecord]:
    """Everything is made and proven beside its place before anything is replaced there."""
    check_out(order.bundle, order.out)
    bundle = load_bundle(order.bundle)
    names = _models(bundle.spec, order.models)
    backends = backends_asked(order.backends)
    items, held_out = list_images(order.images, bundle.spec.provenance.held_out)
    samples = take_samples(bundle, items, order.count, backends[0], lambda: step("images"))
    made: dict[str, Quantised | str] = {}
    judges = {name: judge_of(bundle, name, backends[0], samples) for name in names}
    for name, judge in judges.items():
        made[name] = quantise_model(
            bundle, judge, order.method, order.budget_of(judge), backends, _for_model(step, name)
        )
    if all(isinstance(result, str) for result in made.values()):
        raise BundleError(
            "No model of the bundle can be quantised.",
            got="; ".join(f"{name}: {why}" for name, why in made.items()),
            remedy="a larger --budget, or keep the float bundle",
        )
    with beside(order.out) as folder:
        records = {name: model_record(bundle, judges[name], made[name], order) for name in names}
        making = Making.copy_of(bundle, folder)
        making.fields["version"] = f"{bundle.spec.version}-{INT8}"
        for name, result in made.items():
            if isinstance(result, Quantised):
                making.add(name, result, backends_for(result))
        record = _record(bundle, order, samples, records, held_out)
        record = finish(making, record, samples, items, backends, step)
    return load_bundle(order.out), record


def finish(
    making: Making,
    record: CalibrationRecord,
    samples: Samples,
    items: Sequence[Any],
    backends: Sequence[str],
    step: Step,
) -> CalibrationRecord:
    """Everything that depends on the 8-bit files, once they are in their place."""
    dropped = _golden(making, backends)
    step("golden images")
    chain = compare_chains(making.seal(), items, samples, backends[0], lambda: step("chain"))
    record = record.model_copy(
        update={"chain": chain, "golden_dropped": (*record.golden_dropped, *dropped)}
    )
    (making.folder / FILE).write_text(record.to_json(), encoding="utf-8")
    report.write_files(making.folder, record)
    metrics = making.fields["provenance"]["metrics"]
    for name, model in record.models.items():
        if model.loss is not None:
            metrics[f"int8.loss.{name}"] = round(model.loss.mean, 5)
    sealed = making.seal()
    for backend in backends:
        open_chain(sealed, backend).close()  # its self-test, on the files that ship
    return record


def _golden(making: Making, backends: Sequence[str]) -> list[str]:
    """Measured again with the new files. An image on which they differ too much is no test."""
    sealed = making.seal()
    kept: list[dict[str, Any]] = []
    dropped: list[str] = []
    for case in sealed.spec.golden:
        try:
            kept += measure_golden(sealed, [case.image], backends)
        except BundleError as error:
            dropped.append(f"{case.image}: {error.one_line}")
            (making.folder / case.image).unlink()
    if dropped and not kept:
        raise BundleError(
            "In 8 bits the bundle fails all of its golden images.",
            got="; ".join(dropped),
            remedy="quantize with a smaller --budget, or leave a model out with --models",
        )
    making.fields["golden"] = kept
    return dropped


def _for_model(step: Step, name: str) -> Step:
    return lambda what: step(f"{name}: {what}")


def judge_of(bundle: LoadedBundle, name: str, backend: str, samples: Samples) -> Judge:
    spec = bundle.spec
    segment = spec.chain.segment
    segment = segment if segment is not None and segment.model == name else None
    return Judge(
        name,
        spec.models[name],
        len(spec.classes),
        backend,
        samples.feeds[name],
        samples.said[name],
        segment,
    )


def _record(
    bundle: LoadedBundle,
    order: Order,
    samples: Samples,
    models: dict[str, ModelRecord],
    held_out: int,
) -> CalibrationRecord:
    combine = bundle.spec.chain.combine
    if combine is not None:
        reason = "it only combines a few numbers: in 8 bits it would be larger"
        models = models | {combine.model: ModelRecord(quantised=False, reason=reason)}
    purify = bundle.spec.chain.purify
    if purify is not None and purify.model is not None:
        reason = (
            "it paints what others look at: every level that it rounds would be in their pictures"
        )
        models = models | {purify.model: ModelRecord(quantised=False, reason=reason)}
    return CalibrationRecord(
        created=datetime.now(timezone.utc),
        reference=bundle.digest,
        method=order.method,
        images=tuple(samples.images),
        held_out=held_out,
        unreadable=tuple(samples.unreadable),
        without_lesion=samples.without_lesion,
        models=models,
        versions=report.versions(),
        machine={"cpu": machine.cpu()[0], "cores": machine.usable_cores()},
    )


def _models(spec: Bundle, asked: Sequence[str]) -> list[str]:
    if any(v.precision == INT8 for model in spec.models.values() for v in model.variants):
        raise BundleError(
            "The bundle is quantised already.",
            got=f"int8 files in {spec.name} {spec.version}",
            expected="a bundle in fp32 or fp16",
            remedy="--bundle with the one that it was made from",
        )
    first = [spec.chain.segment.model] if spec.chain.segment else []
    can = list(dict.fromkeys([*first, *spec.chain.classify]))
    return pick_models(can, asked, "no model that can be quantised")


def pick_models(can: Sequence[str], asked: Sequence[str], otherwise: str) -> list[str]:
    """All of them where none is asked for."""
    if unknown := [name for name in asked if name not in can]:
        raise UsageError(
            f"'{unknown[0]}' is {otherwise}.",
            expected=", ".join(can),
            remedy="leave --models out for all of them; what combines them stays in float",
        )
    return [name for name in can if not asked or name in asked]


def backends_asked(asked: Sequence[str]) -> list[str]:
    """Engines to measure on: the first also judges accuracy."""
    if asked:
        return list(dict.fromkeys(choose_backend(name) for name in asked))
    usable = [name for name, why in available_backends().items() if why is None]
    found = [name for name in usable if BACKENDS[name].automatic]
    if not found:
        raise BackendError(
            "No engine is installed to quantise with.", remedy="pip install 'dermedge[cpu]'"
        )
    return found


def check_out(bundle: Path, out: Path) -> None:
    """Before hours are spent."""
    target, source = out.resolve(), bundle.resolve()
    if target == source or source in target.parents or target in source.parents:
        raise UsageError(
            "The new bundle cannot take the place of the one it is made from.",
            got=f"--out {out}",
            expected="a folder of its own, neither in nor around --bundle",
            remedy="--out with another folder: the old bundle is what the new one is held against",
        )
    check_replaceable(target)
