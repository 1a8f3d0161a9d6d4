"""All that the gate found, for people, for programs and for the bundle."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from calibration.gating.figures import Change, Figures
from calibration.gating.run import Cost
from calibration.gating.sides import Sides
from calibration.gating.verdict import Verdict

if TYPE_CHECKING:
    from runtime.bundle import GateLimits
    from runtime.bundle_files import LoadedBundle

Flat = dict[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Flip:
    """An image whose decision is another one."""

    id: str
    label: str
    malignant: bool
    before: str
    after: str
    reference_score: float | None
    candidate_score: float | None
    threshold: float


@dataclass(frozen=True)
class Findings:
    candidate: LoadedBundle
    references: tuple[LoadedBundle, ...]
    folds: bool
    originals: bool
    backend: str
    precisions: tuple[str, str]
    data: str
    limits: GateLimits
    sides: Sides
    figures: Figures
    cost: Cost
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def reference_digest(self) -> str:
        """The reference's; of several fold bundles, one over all of theirs."""
        digests = sorted(bundle.digest for bundle in self.references)
        if not self.folds:
            return digests[0]
        return hashlib.sha256("\0".join(digests).encode()).hexdigest()

    def flips(self) -> list[Flip]:
        """Malignant ones first, and of them those that the candidate no longer refers."""
        sides = self.sides
        before, after = sides.outcomes
        found = [
            (before[row] <= after[row], _flip(sides, row))
            for row in range(len(sides.ids))
            if sides.flips[row]
        ]
        return [flip for _, flip in sorted(found, key=lambda f: (not f[1].malignant, f[0]))]

    def flat(self) -> Flat:
        """Key figures under plain names, as they are kept in the candidate's bundle.json."""
        figures, cost = self.figures, self.cost
        found: Flat = {
            "verdict": self.verdict.state,
            "why": self.verdict.why,
            "backend": self.backend,
            "reference.precision": self.precisions[0],
            "candidate.precision": self.precisions[1],
            "folds": len(self.references) if self.folds else None,
            "data": self.data,
            "images": figures.images,
            "positives": figures.positives,
            "negatives": figures.negatives,
            "undecided": figures.undecided,
            "undecided.positives": figures.undecided_positives,
            "unscored": figures.unscored,
            **_sides_of("sensitivity", figures.sensitivity),
            "sensitivity.lost": figures.lost,
            "sensitivity.gained": figures.gained,
            **_sides_of("specificity", figures.specificity),
            **_sides_of("auc", figures.auc),
            **(_sides_of("mean_auc", figures.mean_auc) if figures.mean_auc else {}),
            **{
                key: value
                for name, change in figures.class_aucs.items()
                for key, value in _sides_of(f"auc.{name}", change).items()
            },
            "flips": figures.flips,
            "flips.bound": figures.flips_bound,
            "probability_change.p99": figures.change_p99,
            "probability_change.max": figures.change_max,
            "probability_change.member": figures.member_p99,
            "probability_change.image": figures.change_where,
            "mask_agreement": figures.masks.candidate if figures.masks else None,
            "mask_agreement.p99": figures.masks_p99,
            "ms.reference": cost.reference_ms,
            "ms.candidate": cost.candidate_ms,
            "ms.ratio": cost.time_ratio,
            "bytes.reference": cost.reference_bytes,
            "bytes.candidate": cost.candidate_bytes,
            **{f"limit.{name}": value for name, value in self.limits.model_dump().items()},
        }
        return {name: _finite(value) for name, value in found.items()}

    def as_json(self) -> dict[str, Any]:
        sides = self.sides
        scores = [_scores(judged.scores.tolist()) for judged in (sides.reference, sides.candidate)]
        return {
            "schema": 1,
            "passed": self.verdict.passed,
            "reference": [bundle.record.model_dump() for bundle in self.references],
            "candidate": self.candidate.record.model_dump(),
            "figures": self.flat(),
            "checks": [asdict(check) for check in self.verdict.checks],
            "notes": list(self.notes),
            "flips": [asdict(flip) for flip in self.flips()],
            "images": [
                {"id": name, "label": sample.label, "reference": one, "candidate": other}
                for name, sample, one, other in zip(
                    sides.ids, sides.reference.table, *scores, strict=True
                )
            ],
        }


def _flip(sides: Sides, row: int) -> Flip:
    sample = sides.reference.table[row]
    one, other = (
        _scores([float(judged.scores[row])])[0] for judged in (sides.reference, sides.candidate)
    )
    return Flip(
        sample.id, sample.label or "", bool(sides.reference.malignant[row]),
        _word(sides, 0, row), _word(sides, 1, row), one, other, float(sides.thresholds[row]),
    )  # fmt: skip


def _word(sides: Sides, side: int, row: int) -> str:
    code = int(sides.outcomes[side][row])
    if code >= 0:
        return "refer" if code else "no referral"
    return (sides.reference, sides.candidate)[side].statuses[row]


def _sides_of(name: str, change: Change) -> Flat:
    return {
        f"{name}.reference": change.reference,
        f"{name}.candidate": change.candidate,
        f"{name}.loss": change.loss,
        f"{name}.loss_bound": change.bound,
    }


def _scores(values: list[float]) -> list[float | None]:
    return [round(value, 6) if math.isfinite(value) else None for value in values]


def _finite(value: float | int | str | None) -> float | int | str | None:
    """JSON knows no NaN, and six digits are more than any of these figures is worth."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
