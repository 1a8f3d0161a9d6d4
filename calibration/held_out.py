"""Out-of-fold predictions by the bundles of a run's folds: what the files that ship would say.

Each bundle judges the images that were kept from it, through the chain that a device runs, with
temperature and limits set aside. A threshold fitted on these is of the same precision, decoding
and metadata as the bundle that it is written into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibration.coverage import Doubts
from calibration.gating.comparable import require_alike
from calibration.gating.evidence import Data, held_out
from calibration.judged import Judged, judge
from calibration.predictions import Predictions
from runtime.bundle import Abstention
from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle


@dataclass(frozen=True)
class Evidence:
    """`doubts` only where whole chains were asked."""

    predictions: Predictions
    doubts: Doubts | None


def judge_held_out(
    folds: Sequence[LoadedBundle],
    data: Data,
    backend: str,
    on_each: Callable[[], None] = lambda: None,
) -> Evidence:
    parts, numbers = [], []
    for fold in folds:
        table = held_out(data, fold)
        parts.append(judge(_undecided(fold), table, backend, on_each))
        numbers += [fold.spec.provenance.fold] * len(table)
    return _pooled(parts, np.array(numbers, dtype=np.int64))


def others(folds: Sequence[LoadedBundle], bundle: LoadedBundle, backend: str) -> list[LoadedBundle]:
    """All but the bundle's own, if it is of a fold: it is judged on what that holds out."""
    require_alike(folds, bundle, backend)
    found = [fold for fold in folds if fold.spec.provenance.fold != bundle.spec.provenance.fold]
    if not found:
        raise UsageError(
            "A fold's bundle decides by what the other folds say.",
            got=f"{bundle.path} alone",
            expected="the bundles of all folds",
        )
    return found


def images(folds: Sequence[LoadedBundle], data: Data) -> int:
    """For the progress bar."""
    return sum(len(held_out(data, fold)) for fold in folds)


def _undecided(bundle: LoadedBundle) -> LoadedBundle:
    decision = bundle.spec.decision.model_copy(
        update={
            "temperature": 1.0,
            "abstain": Abstention(no_lesion=bundle.spec.decision.abstain.no_lesion),
        }
    )
    return replace(bundle, spec=bundle.spec.model_copy(update={"decision": decision}))


def _pooled(parts: Sequence[Judged], folds: np.ndarray) -> Evidence:
    """Images that could not be scored can be no evidence; there must not be any in a data set."""
    judgements = [each for part in parts for each in part.judgements]
    ids = tuple(name for part in parts for name in part.table.ids)
    scored = np.concatenate([part.scored for part in parts])
    if not scored.all():
        failed = [name for name, said in zip(ids, scored.tolist(), strict=True) if not said]
        raise UsageError(
            "Some images could not be judged, so nothing can be fitted on what is left.",
            got=f"{len(failed)} without a score: {', '.join(failed[:5])}",
            remedy="look at them with `dermedge infer`, then leave them out of the data",
        )
    results = [each.result for each in judgements if each.result is not None]
    predictions = Predictions(
        ids,
        folds,
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        parts[0].classes,
    )
    doubts = Doubts(
        disagreement=_numbers([r.disagreement for r in results]),
        ood=_numbers([r.ood for r in results]),
        area=_numbers([r.lesion.area_fraction if r.lesion else None for r in results]),
        open=np.array([r.status == "ok" for r in results]),
    )
    return Evidence(predictions, doubts)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
