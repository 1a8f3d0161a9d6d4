"""Several frames of one lesion, judged as one: the mean of what the networks said of each.

A single frame of a hand that moves is a throw of the dice. How far the frames are apart, and how
many of them alone would have been decided otherwise, stands in the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from runtime.decision import disagreement, judge, temper
from runtime.record import CaptureRecord

if TYPE_CHECKING:
    from runtime.chain import Analysis, Chain
    from runtime.preprocess import Image


@dataclass(frozen=True, slots=True)
class Judged:
    frame: Image
    analysis: Analysis


def fuse(chain: Chain, judged: Sequence[Judged]) -> Judged:
    """The first of them, the sharpest, with the mean of all in place of what it said alone.

    A frame that failed makes the whole a failure: fewer frames than asked for are another measure.
    """
    results = [one.analysis.result for one in judged]
    for one, result in zip(judged, results, strict=True):
        if result.status == "error":
            return one
    spec, first = chain.bundle.spec, judged[0].analysis
    name = spec.decision.score
    combined = _mean([one.analysis.combined or {} for one in judged])
    tempered = temper([combined[each] for each in spec.classes], spec.decision.temperature)
    probabilities = dict(zip(spec.classes, tempered.tolist(), strict=True))
    members = {each: _mean([r.members[each] for r in results]) for each in results[0].members}
    apart = disagreement([said[name] for said in members.values()]) if len(members) > 1 else None
    ood = max((r.ood for r in results if r.ood is not None), default=None)
    score, threshold = probabilities[name], spec.decision.threshold
    verdict = judge(spec, score, first.lesion, first.result.quality, apart, ood)
    alone = [r.score for r in results if r.score is not None]
    flips = [threshold is not None and (s >= threshold) != (score >= threshold) for s in alone]
    fused = first.result.model_copy(
        update={
            "status": verdict.status,
            "reason": verdict.reason,
            "refer": verdict.refer,
            "probabilities": probabilities,
            "score": score,
            "members": members,
            "disagreement": apart,
            "ood": ood,
            "capture": CaptureRecord(
                frames=len(judged), spread=float(np.std(alone)), flip_rate=float(np.mean(flips))
            ),
        }
    )
    return Judged(judged[0].frame, replace(first, result=fused, combined=combined))


def _mean(said: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in said])) for name in said[0]}
