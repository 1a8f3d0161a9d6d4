"""How a bundle decides, fitted on predictions of images that its networks have not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from calibration.coverage import decided_crossed, fit_limits
from calibration.intervals import wilson
from calibration.temperature import (
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from calibration.threshold import Threshold, choose_threshold, refer_crossed
from runtime.bundle import Coverage
from runtime.decision import temper

if TYPE_CHECKING:
    from calibration.held_out import Evidence
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle

Flags = npt.NDArray[np.bool_]

CARD_HEADING = "## Operating point"


@dataclass(frozen=True)
class Decision:
    """`losses` and `errors` are those of the log-likelihood and of calibration, before the
    temperature and after. `limits` is empty where no coverage was asked for."""

    temperature: float
    threshold: Threshold
    losses: tuple[float, float]
    errors: tuple[float, float]
    limits: dict[str, float]
    coverage: Coverage | None
    folds: int

    @property
    def judged(self) -> str:
        """Of one fold alone, as of a run of two without the bundle's own, none can be crossed."""
        return "folds crossed" if self.folds > 1 else "on the images it was fitted on"


def decide(
    spec: Bundle, evidence: Evidence, sensitivity: float, coverage: float | None
) -> Decision:
    predictions = evidence.predictions
    raw, targets = predictions.probabilities, predictions.targets
    temperature = round(fit_temperature(raw, targets), 4)
    tempered = temper(raw, temperature)
    place = spec.classes.index(spec.decision.score)
    positive = np.isin(targets, [spec.classes.index(name) for name in spec.positive])
    folds = len(set(predictions.folds.tolist()))
    origin = f"out of fold, {_folds(folds)}, {len(predictions.ids)} images"
    chosen = choose_threshold(tempered[:, place], positive, predictions.folds, sensitivity, origin)
    limits, reached = {}, None
    if coverage is not None and evidence.doubts is not None:
        limits = fit_limits(evidence.doubts, coverage)
        decided = decided_crossed(evidence.doubts, predictions.folds, coverage)
        referred = refer_crossed(tempered[:, place], positive, predictions.folds, sensitivity)
        reached = _coverage(coverage, decided, referred, positive, origin)
    return Decision(
        temperature,
        chosen,
        losses=_before_and_after(negative_log_likelihood, raw, tempered, targets),
        errors=_before_and_after(
            calibration_error, raw[:, place], tempered[:, place], targets == place
        ),
        limits=limits,
        coverage=reached,
        folds=folds,
    )


def _folds(folds: int) -> str:
    return f"{folds} folds" if folds > 1 else "1 fold, judged on the images it was fitted on"


def write(bundle: LoadedBundle, decision: Decision) -> None:
    from runtime.bundle_files import fields_of, seal
    from runtime.card_section import put_section

    fields = fields_of(bundle)
    fields["decision"] |= {
        "temperature": decision.temperature,
        "threshold": decision.threshold.value,
        "threshold_interval": decision.threshold.interval.model_dump(),
        "operating_point": decision.threshold.point.model_dump(),
    }
    fields["decision"]["coverage"] = None  # it would be of another threshold
    if decision.coverage is not None:
        fields["decision"]["abstain"] |= decision.limits
        fields["decision"]["coverage"] = decision.coverage.model_dump()
    limits = fields["decision"]["abstain"] if decision.coverage is None else {}
    kept = {k: v for k, v in limits.items() if k != "no_lesion" and v is not None}
    put_section(bundle.path, CARD_HEADING, [*_on_card(decision, kept)])
    seal(bundle.path, fields)


def _on_card(decision: Decision, kept: dict[str, float]) -> Iterator[str]:
    """`kept`: limits of abstention that were fitted before and go on."""
    point = decision.threshold.point
    yield (
        f"Fitted for a sensitivity of {point.target_sensitivity:g}, {point.predictions}. A score "
        "at or above the threshold is a referral."
        + (" What lies beyond a limit gets no decision." if decision.limits or kept else "")
        + " Intervals are of 95 % and count images.\n"
    )
    yield "| | |\n|---|---|"
    for name, said in _rows(decision, None):
        yield f"| {name} | {said} |"
    for name, value in kept.items():
        yield f"| abstains: {name.replace('_', ' ')}, as fitted before | {value:.4g} |"
    yield (
        f"\nOf the {point.positives + point.negatives} images {point.positives} were positive. "
        "Where fewer are, more referrals are of something else: PPV and NPV say how many."
    )


def _before_and_after(measure: Any, raw: Any, tempered: Any, truth: Any) -> tuple[float, float]:
    return measure(raw, truth), measure(tempered, truth)


def _coverage(
    wanted: float, decided: Flags, referred: Flags, positive: Flags, origin: str
) -> Coverage:
    """Folds crossed for limits and threshold alike."""
    count, kept = len(decided), int(decided.sum())
    found, left = referred[decided & positive], ~referred[decided & ~positive]
    return Coverage(
        wanted=wanted,
        decided=kept / count,
        decided_interval=wilson(kept, count),
        images=count,
        sensitivity=float(found.mean()) if len(found) else None,
        specificity=float(left.mean()) if len(left) else None,
        predictions=origin,
    )


def keeps_limits(bundle: LoadedBundle, decision: Decision) -> bool:
    """Whether it goes on abstaining by limits that were fitted before."""
    limits = bundle.spec.decision.abstain.model_dump(exclude={"no_lesion"})
    return decision.coverage is None and any(value is not None for value in limits.values())


def show(decision: Decision, prevalence: float | None) -> None:
    from rich.console import Console
    from rich.table import Table

    grid = Table(title="Operating point", title_justify="left", show_header=False)
    for row in _rows(decision, prevalence):
        grid.add_row(*row)
    Console().print(grid)


def _rows(decision: Decision, prevalence: float | None) -> Iterator[tuple[str, str]]:
    yield "temperature", f"{decision.temperature:g}"
    before, after = decision.losses
    yield "log-likelihood loss", f"{before:.4f} before, {after:.4f} after"
    before, after = decision.errors
    yield "calibration error of the score", f"{before:.4f} before, {after:.4f} after"
    interval, point = decision.threshold.interval, decision.threshold.point
    yield "threshold", f"{decision.threshold.value:.4f} ({interval.low:.4f}–{interval.high:.4f})"
    for name in ("sensitivity", "specificity"):
        span = getattr(point, f"{name}_interval")
        count = point.positives if name == "sensitivity" else point.negatives
        yield (
            f"{name}, {decision.judged}",
            f"{getattr(point, name):.3f} ({span.low:.3f}–{span.high:.3f}), n = {count}",
        )
    yield from _worth(decision, prevalence)
    yield from _abstention(decision)


def _worth(decision: Decision, prevalence: float | None) -> Iterator[tuple[str, str]]:
    """What a decision is worth where that share of patients has the disease."""
    from calibration.evaluation.prevalence import PREVALENCES, predictive_values

    point = decision.threshold.point
    for share in PREVALENCES if prevalence is None else (prevalence,):
        at, low, high = (
            predictive_values(np.array([se]), np.array([sp]), (share,))
            for se, sp in (
                (point.sensitivity, point.specificity),
                (point.sensitivity_interval.low, point.specificity_interval.low),
                (point.sensitivity_interval.high, point.specificity_interval.high),
            )
        )
        said = [
            f"{kind.upper()} {float(at[name][0]):.3f} "
            f"({float(low[name][0]):.3f}–{float(high[name][0]):.3f})"
            for kind in ("ppv", "npv")
            for name in [f"{kind}@{share:g}"]
        ]
        yield f"where {100 * share:g} % are positive", ", ".join(said)


def _abstention(decision: Decision) -> Iterator[tuple[str, str]]:
    reached = decision.coverage
    if reached is None:
        return
    span = reached.decided_interval
    for name, value in decision.limits.items():
        yield f"abstains: {name.replace('_', ' ')}", f"{value:.4g}"
    yield (
        f"decided, {decision.judged}",
        f"{reached.decided:.3f} ({span.low:.3f}–{span.high:.3f}) of {reached.images}, "
        f"wanted {reached.wanted:g}",
    )
    shares = {"sensitivity": reached.sensitivity, "specificity": reached.specificity}
    yield (
        "among the decided",
        ", ".join(f"{n} {'–' if share is None else f'{share:.3f}'}" for n, share in shares.items()),
    )
