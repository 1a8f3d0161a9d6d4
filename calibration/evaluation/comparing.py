"""Evaluations with times beside them, and which of them may stand in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.evaluation.bootstrap import Estimate
from calibration.evaluation.measured import Bench, Evaluated
from runtime.errors import UsageError

LONGEST = 24  # letters of a name: so much fits on one side of a mark, wherever that is


@dataclass(frozen=True)
class Point:
    """A bundle, or the bundles of a run's folds, of which one was timed."""

    name: str
    evaluated: Evaluated
    bench: Bench
    measure: str

    @property
    def area(self) -> Estimate:
        return self.evaluated.metrics[self.measure]

    @property
    def ends(self) -> list[float]:
        found = (self.area.low, self.area.value, self.area.high)
        return [end for end in found if end is not None]

    @property
    def ms(self) -> float:
        return self.bench.times.p50

    @property
    def machine(self) -> str:
        return self.bench.place


def check(points: Sequence[Point]) -> None:
    """Refuse what would look like a comparison and is none."""
    for point in points:
        _check_name(point.name)
        _check_bundle(point)
        _check_measure(point)
        _check_precision(point)
        _check_unseen(point)
    for other in points[1:]:
        _check_alike(points[0], other)
    seen = [(point.name, point.machine) for point in points]
    if twice := [pair for pair in seen if seen.count(pair) > 1]:
        raise UsageError(
            "Two points have the same name on the same machine.",
            got=" on ".join(twice[0]),
            expected="a name of its own for each",
        )


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST:
        raise UsageError(
            "A point's name has to fit beside it.",
            got=f"'{name}', {len(name)} letters",
            expected=f"1 to {LONGEST} letters",
        )


def _check_bundle(point: Point) -> None:
    timed, judged = point.bench.bundle, point.evaluated.bundles
    if timed.digest not in {bundle.digest for bundle in judged}:
        raise UsageError(
            f"{point.name}: the bundle that was timed is not the one that was evaluated.",
            got=f"{timed.name} {timed.version}, {timed.digest[:12]}",
            expected=" or ".join(f"{b.name} {b.version}, {b.digest[:12]}" for b in judged),
            remedy="`dermedge bench --bundle` with the bundle that was evaluated, or one of its "
            "folds, unchanged since",
        )


def _check_precision(point: Point) -> None:
    timed_in = point.bench.backend.precision
    ran = [backend.precision for backend in point.evaluated.backends]
    if any(precision != timed_in for precision in ran):
        raise UsageError(
            f"{point.name} was timed in another precision than it was evaluated in.",
            got=_listed(timed_in),
            expected=" and ".join(map(_listed, ran)),
            remedy="evaluate all folds, and bench, with backends that run the same files",
        )


def _listed(precision: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in precision.items())


def _check_measure(point: Point) -> None:
    areas = [name for name in point.evaluated.metrics if name.partition(".")[0] == "auc"]
    if point.measure not in areas or point.area.value is None:
        raise UsageError(
            f"{point.name} has no value of the measure '{point.measure}'.",
            expected=", ".join(n for n in areas if point.evaluated.metrics[n].value is not None),
            remedy="choose another --measure",
        )


def _check_unseen(point: Point) -> None:
    leakage = point.evaluated.leakage
    ties = (
        0 if leakage.copies_of_training_images is None else leakage.copies_of_training_images.count
    )
    if leakage.trained_on or ties or leakage.quantised_on:
        raise UsageError(
            f"{point.name} was evaluated on images that it was made from, or that tie to some.",
            got=f"{leakage.trained_on or 0:,} training images, {ties:,} ties of others to some, "
            f"and {leakage.quantised_on:,} images that its 8 bits were calibrated or tuned on",
            expected="images that its networks have not seen",
            remedy="`dermedge evaluate` without --all-images",
        )


def _check_alike(first: Point, other: Point) -> None:
    one, two = first.evaluated, other.evaluated
    if one.data.images_digest != two.data.images_digest:
        raise UsageError(
            f"{first.name} and {other.name} were not evaluated on the same images.",
            got=f"images {one.data.images_digest[:12]} and {two.data.images_digest[:12]}",
            expected="one and the same set",
            remedy="`dermedge evaluate` both with the same --data and --split",
        )
    asked = [each.asked(first.measure) for each in (one, two)]
    if asked[0] != asked[1]:
        raise UsageError(
            f"{first.name} and {other.name} tell the same images apart into other classes.",
            got=" and ".join(asked),
            expected="the same classes",
            remedy="--measure auc asks for the positives alone, whatever the others are called",
        )
