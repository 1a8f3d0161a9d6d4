"""From probabilities to what a record says: score, refer or not, and when to say nothing.

Precedence, strongest first: `error` (something failed), `rejected` (the picture is not one to
judge), `abstained` (a score is shown but not acted on), `ok`. Only `ok` carries a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from runtime.bundle import Abstention, Bundle, QualityLimit
    from runtime.lesion import Lesion

Doubles = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> Doubles:
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def temper(probabilities: npt.ArrayLike, temperature: float) -> Doubles:
    """Divide log-probabilities by the temperature and renormalise, along the last axis.

    Above one it draws them together, below one apart; their order never changes.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    return softmax(np.log(np.maximum(values, np.finfo(np.float64).tiny)) / temperature)


def disagreement(scores: Sequence[float]) -> float:
    """How far the members are apart: the population deviation of their scores."""
    return float(np.std(np.asarray(scores, dtype=np.float64)))


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Literal["ok", "abstained", "rejected"]
    reason: str | None
    refer: bool | None


def judge(
    bundle: Bundle,
    score: float,
    lesion: Lesion | None,
    measures: Mapping[str, float],
    spread: float | None,
    ood: float | None,
) -> Verdict:
    """What to make of a score that was computed without a failure."""
    hints = quality_hints(bundle.quality, measures)
    if hints:
        return Verdict("rejected", "; ".join(hints), None)
    reasons = doubts(bundle.decision.abstain, lesion, spread, ood)
    if bundle.chain.segment is not None and lesion is None and _must_see_a_lesion(bundle):
        reasons.insert(0, "no lesion was found, so the networks saw the whole frame")
    if reasons:
        return Verdict("abstained", "; ".join(reasons), None)
    threshold = bundle.decision.threshold
    return Verdict("ok", None, None if threshold is None else score >= threshold)


def _must_see_a_lesion(bundle: Bundle) -> bool:
    """Networks that expect a crop were not made for the whole frame, whatever the rule says."""
    cropped = any(view.shows_lesion for view in bundle.views.values())
    return bundle.decision.abstain.no_lesion or cropped


def quality_hints(
    limits: Mapping[str, QualityLimit], measures: Mapping[str, float], live: bool = False
) -> list[str]:
    """The hints of every limit that the picture is outside of, in the bundle's order.

    A limit on the lesion says nothing of a picture without one. `live`: what could be better is
    said as well, as long as there is time for it.
    """
    return [
        limit.hint
        for name, limit in limits.items()
        if name in measures
        and (limit.advises(measures[name]) if live else limit.excludes(measures[name]))
    ]


def doubts(
    rules: Abstention, lesion: Lesion | None, spread: float | None, ood: float | None
) -> list[str]:
    """Why the bundle would rather not decide, one sentence a rule that applies."""
    reasons = []
    if rules.disagreement is not None and spread is not None and spread > rules.disagreement:
        reasons.append(
            f"the networks disagree: deviation {spread:.3f}, allowed {rules.disagreement:g}"
        )
    if rules.ood is not None and ood is not None and ood > rules.ood:
        reasons.append(f"the picture is unlike those trained on: {ood:.3g}, allowed {rules.ood:g}")
    if lesion is not None:
        reasons += _area_doubts(rules, lesion.area_fraction)
    return reasons


def _area_doubts(rules: Abstention, area: float) -> list[str]:
    if rules.area_fraction_min is not None and area < rules.area_fraction_min:
        return [
            f"the lesion is too small in the frame: {area:.1%}, "
            f"needed {rules.area_fraction_min:.1%}"
        ]
    if rules.area_fraction_max is not None and area > rules.area_fraction_max:
        return [
            f"the lesion fills too much of the frame: {area:.1%}, "
            f"allowed {rules.area_fraction_max:.1%}"
        ]
    return []
