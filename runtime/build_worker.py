"""Compiles one engine, in a process of its own: `python -m runtime.build_worker`.

A builder takes gigabytes and gives few of them back, and where it fails it may take its process
with it. So `dermedge build` starts one of these for each engine (runtime/build_process.py). The job
comes as JSON on stdin; what happens goes as JSON, one object a line, to the original stdout.
Whatever the vendor's libraries print to stdout is sent to stderr, to keep those lines clean.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runtime.backends.engine_key import BuildSettings, EngineKey, PlanRecord, key_for
from runtime.bundle import Precision
from runtime.errors import BackendError, DermedgeError
from runtime.specs import Spec

if TYPE_CHECKING:
    from runtime.backends.engine_cache import EngineCache
    from runtime.backends.trt_flavours import Flavour
    from runtime.bundle import ModelSpec, Variant

Tell = Callable[[dict[str, object]], None]
EVERY_S = 0.1  # between two messages about progress: phases are left thousands of times


class Job(Spec):
    bundle: Path
    model: str
    backend: Literal["tensorrt", "tensorrt_rtx"]
    cache: Path
    precision: Precision | None = None
    settings: BuildSettings = BuildSettings()
    ranges: Path | None = None
    batch: Annotated[int, Field(ge=1)] = 1
    force: bool = False

    @property
    def opened_with(self) -> Precision | None:
        """The precision that a chain must be asked for to open what this builds. Engines for DLA
        are of float files, of which those in 16 bits come first; ranges make no other file."""
        return self.precision if self.settings.dla is None else "fp16"


def main() -> int:
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(message: dict[str, object]) -> None:
        channel.write(json.dumps(message) + "\n")

    try:
        job = Job.model_validate_json(sys.stdin.read())
        record, why = compile_engine(job, tell)
    except DermedgeError as error:
        kind = type(error).__name__
        facts = {"what": error.what, "got": error.got, "expected": error.expected}
        tell({"error": {"kind": kind, **facts, "remedy": error.remedy}})
        return error.exit_code
    tell({"done": record.model_dump(mode="json", by_alias=True), "why": why})
    return 0


def compile_engine(job: Job, tell: Tell) -> tuple[PlanRecord, str | None]:
    """The engine's record, and why it had to be built, or None where it was there."""
    from runtime.backends.engine_cache import EngineCache
    from runtime.backends.registry import read_checked
    from runtime.backends.trt_flavours import flavour
    from runtime.bundle_files import load_bundle

    model = load_bundle(job.bundle, verify=False).spec.models[job.model]
    variant = variant_for(job, model)
    library = flavour(job.backend)
    ranges = job.ranges.read_bytes() if job.ranges else None
    outputs = tuple(output.name for output in model.outputs)
    key = key_for(
        variant.sha256, variant.precision, library, outputs,
        batch=job.batch, settings=_with_ranges(job.settings, ranges),
    )  # fmt: skip
    cache = EngineCache(job.cache)
    with cache.locked(lambda: tell({"waiting": True})):
        found = cache.find(job.model, key, library.portable)
        if isinstance(found, PlanRecord) and not job.force:
            return found, None
        why = found if isinstance(found, str) else "--force"
        content = read_checked(job.bundle / variant.file, variant)
        return _build(job, library, key, cache, (variant.file, content, ranges), tell), why


def variant_for(job: Job, model: ModelSpec) -> Variant:
    """The file to build. DLA takes none between Q and DQ: it computes in 16 bits, or in 8 with
    ranges beside a float graph."""
    from runtime.backends.registry import choose_variant

    if job.settings.dla is None:
        return choose_variant(job.model, model, job.backend, job.opened_with)
    floats = tuple(variant for variant in model.variants if variant.precision != "int8")
    if job.precision == "fp32" or not floats or (job.precision == "int8" and job.ranges is None):
        raise BackendError(
            f"DLA cannot run '{job.model}' in the precision that was asked for.",
            got=f"{job.precision or 'files'} of {', '.join(v.precision for v in model.variants)}"
            + (", with ranges" if job.ranges else ", without ranges"),
            expected="fp16, or int8 with a float file and a calibration cache MODEL.cache",
            remedy="--calibration FOLDER, another --precision, or leave --dla out",
        )
    only_floats = model.model_copy(update={"variants": floats})
    return choose_variant(job.model, only_floats, job.backend, job.opened_with)


def _with_ranges(settings: BuildSettings, ranges: bytes | None) -> BuildSettings:
    if ranges is None:
        return settings
    return settings.model_copy(update={"ranges": sha256(ranges).hexdigest()})


def _build(
    job: Job,
    library: Flavour,
    key: EngineKey,
    cache: EngineCache,
    source: tuple[str, bytes, bytes | None],
    tell: Tell,
) -> PlanRecord:
    from runtime.backends.layer_precision import counted, multiplying
    from runtime.backends.trt_builder import Order, build_plan

    file, content, ranges = source
    started = perf_counter()
    timings = cache.timings(key)
    order = Order(
        file, content, key.precision, key.settings, ranges, timings, key.outputs, job.batch
    )
    made = build_plan(library, order, _reporter(tell))
    record = PlanRecord(
        model=job.model,
        file=file,
        key=key,
        plan=sha256(made.plan).hexdigest(),
        bytes=len(made.plan),
        built=datetime.now(timezone.utc),
        seconds=perf_counter() - started,
        layers=counted(made.layers),
        multiplying=multiplying(made.layers),
        checked_on=made.checked_on,
    )
    cache.store(record, made.plan)
    if made.timings:
        cache.store_timings(key, made.timings)
    return record


def _reporter(tell: Tell) -> Callable[[str, float], bool]:
    """Tells the phase now and then. Where nobody listens any more the build is stopped."""
    last = 0.0

    def step(phase: str, share: float) -> bool:
        nonlocal last
        if perf_counter() - last < EVERY_S:
            return True
        last = perf_counter()
        try:
            tell({"phase": phase, "share": min(share, 1.0)})
        except OSError:
            return False
        return True

    return step


if __name__ == "__main__":
    raise SystemExit(main())
