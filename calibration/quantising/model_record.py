"""From what quantising a model found out to its record, and to the engines that get its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration.quantising.loss import Judge
from calibration.quantising.model import Quantised, fp32_size
from calibration.quantising.record import GroupRecord, LossRecord, ModelRecord, SpeedRecord
from runtime.backends.registry import BACKENDS, available_backends

if TYPE_CHECKING:
    from calibration.quantising.bundle import Order
    from runtime.bundle_files import LoadedBundle

MADE_FOR_INT8 = "tensorrt"
"""Engines that this machine need not have, and that 8 bits are meant for."""


def backends_for(made: Quantised) -> tuple[str, ...]:
    """Which engines shall take the 8-bit file; empty where every one that is there is faster.

    TensorRT on the device is the reason for 8 bits, so it gets the file unless it was measured
    here and found no faster.
    """
    tried = {*made.refused, *(speed.backend for speed in made.speeds)}
    pays = [speed.backend for speed in made.speeds if speed.int8_pays]
    here = {name for name, why in available_backends().items() if why is None}
    if {name for name in here if BACKENDS[name].automatic} <= set(pays):
        return ()
    return (*pays, *([] if MADE_FOR_INT8 in tried else [MADE_FOR_INT8]))


def model_record(
    bundle: LoadedBundle, judge: Judge, made: Quantised | str, order: Order
) -> ModelRecord:
    known = {"measure": judge.measure, "budget": round(order.budget_of(judge), 6)}
    if isinstance(made, str):
        return ModelRecord.model_validate({**known, "quantised": False, "reason": made})
    sizes: dict[str, int] = {"fp32": fp32_size(bundle, judge), "int8": len(made.content)}
    for variant in judge.model.variants:
        sizes[variant.precision] = (bundle.path / variant.file).stat().st_size
    return ModelRecord.model_validate(
        {
            **known,
            "quantised": True,
            "method": made.method,
            "methods": {name: LossRecord.of(loss) for name, loss in made.methods.items()},
            "loss": LossRecord.of(made.fitted.loss),
            "groups": [
                GroupRecord(
                    name=group.name,
                    layers=group.layers,
                    loss=LossRecord.of(group.loss),
                    precision="fp16" if group.kept else "int8",
                )
                for group in made.fitted.groups
            ],
            "bytes": sizes,
            "speed": [
                SpeedRecord(
                    backend=speed.backend,
                    float_precision=speed.float_precision,
                    float_ms=round(speed.float_ms, 3),
                    int8_ms=round(speed.int8_ms, 3),
                    ratio=round(speed.ratio, 4),
                )
                for speed in made.speeds
            ],
            "not_run_by": made.refused,
            "for": backends_for(made),
        }
    )
