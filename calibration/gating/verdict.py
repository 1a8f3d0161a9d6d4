"""Figures against limits: passed, lost too much, or too little data to tell. Two of them refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from calibration.gating.bounds import positives_needed
from calibration.gating.figures import Figures
from runtime.bundle import GateLimits
from runtime.errors import GateError

State = Literal["passed", "lost", "too little data"]

FEWEST_NEGATIVES = 50
"""An area under a curve that rests on fewer says nothing, whatever its interval."""

SELF_TEST = "golden images of the candidate"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    got: str
    limit: str
    state: State
    needs: str = ""  # where there is too little data: how much is needed


@dataclass(frozen=True, slots=True)
class Verdict:
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.state == "passed" for check in self.checks)

    @property
    def state(self) -> State:
        states = {check.state for check in self.checks}
        return "lost" if "lost" in states else "passed" if self.passed else "too little data"

    @property
    def why(self) -> str | None:
        """The checks that decided against it, in one line."""
        against = [check for check in self.checks if check.state == self.state]
        if self.passed:
            return None
        return "; ".join(f"{check.name}: {check.got}" for check in against)

    def error(self, report: str | None = None) -> GateError:
        decisive = [check for check in self.checks if check.state == self.state]
        seen = f"; every image is in {report}" if report else "; --out REPORT lists every image"
        if any(check.name == SELF_TEST for check in decisive):
            return GateError(
                "The candidate is refused: it fails its own self-test.",
                got=self.why,
                expected="; ".join(f"{check.name}: {check.limit}" for check in decisive),
                remedy="quantize or export it again where it is to run, and gate what that "
                f"writes{seen}",
            )
        if self.state == "lost":
            return GateError(
                "The candidate is refused: it loses more than its reference allows.",
                got=self.why,
                expected="; ".join(f"{check.name}: {check.limit}" for check in decisive),
                remedy="dermedge finetune brings 8-bit networks back to their float ones; or "
                f"quantize with a smaller --budget, or without the member that changed most{seen}",
            )
        needs = list(dict.fromkeys(check.needs for check in decisive if check.needs))
        return GateError(
            "The candidate is refused: there is too little data to say that it is good enough.",
            got=self.why,
            expected="; ".join(needs) or "images that both bundles can judge",
            remedy="more --data, or --folds with the bundles of `export --fold K`, whose held-out "
            "images are then pooled" + seen,
        )


def judge_self_tests(failures: Mapping[str, str | None]) -> Check:
    """Of every candidate's side, by digest. A device that opens such a bundle would end there."""
    failed = [f"{digest}: {why}" for digest, why in failures.items() if why is not None]
    return Check(SELF_TEST, "; ".join(failed) or "as expected", "within their tolerances",
                 "lost" if failed else "passed")  # fmt: skip


def judge_figures(figures: Figures, limits: GateLimits) -> tuple[Check, ...]:
    checks = [_scored(figures), _sensitivity(figures, limits.sensitivity_loss)]
    checks += _areas(figures, limits.auc_loss)
    checks += [_flips(figures, limits.flips), *_changes(figures, limits.probability_change)]
    return (*checks, *_masks(figures, limits))


def judge_itself(figures: Figures, limits: GateLimits) -> tuple[Check, ...]:
    """The candidate against its own float side, on images it may have been trained on.

    That shows no sensitivity, but a network that was broken in this bundle and not in its fold
    twins does not agree with itself.
    """
    share = figures.flips / figures.images if figures.images else float("nan")
    checks = [
        _scored(figures),
        Check("decision flips", f"{figures.flips} of {figures.images}", f"≤ {limits.flips:.1%}",
              _state(share, share, limits.flips), "images that it can judge"),
        *_changes(figures, limits.probability_change),
        *_masks(figures, limits),
    ]  # fmt: skip
    return tuple(
        Check(f"candidate itself, {c.name}", c.got, c.limit, c.state, c.needs) for c in checks
    )


def _state(found: float, bound: float, limit: float) -> State:
    """Written so that NaN, for which no comparison is true, never passes."""
    if found > limit:
        return "lost"
    return "passed" if found <= limit and bound <= limit else "too little data"


def _scored(figures: Figures) -> Check:
    state: State = "lost" if figures.unscored else "passed" if figures.images else "too little data"
    return Check("scored by both", f"{figures.unscored} of {figures.images} not by the candidate",
                 "0", state, "images that the reference can score")  # fmt: skip


def _sensitivity(figures: Figures, limit: float) -> Check:
    change, groups = figures.sensitivity, figures.positive_groups
    # Of a patient's ten pictures one may be lost: the share of patients is what the bound is of.
    net = (figures.lost - figures.gained) / groups if groups else float("nan")
    found = max(change.loss, net)
    return Check(
        "loss of sensitivity",
        f"{_number(change.loss)} (up to {_number(change.bound)}): {figures.lost} lost and "
        f"{figures.gained} gained of {groups}",
        f"≤ {limit:g}",
        _state(found, change.bound, limit),
        _positives_wanted(figures, limit),
    )


def _positives_wanted(figures: Figures, limit: float) -> str:
    none_lost = positives_needed(limit)
    if none_lost is None:
        return f"no number of positives can show a loss of {limit:g}: raise the reference's limit"
    text = f"at least {none_lost} positives that the reference decides, of which none is lost"
    groups = figures.positive_groups
    if figures.lost or figures.gained:
        alike = positives_needed(limit, figures.lost, figures.gained, groups)
        text += f"; about {alike:,} if as many are lost as here" if alike else ""
    return text + f" (there are {groups})"


def _areas(figures: Figures, limit: float) -> Iterator[Check]:
    few = figures.negative_groups < FEWEST_NEGATIVES
    areas = (("loss of AUC", figures.auc), ("loss of mean AUC", figures.mean_auc))
    for name, change in areas:
        if change is None:
            continue
        state = _state(change.loss, change.bound, limit)
        if state == "passed" and few:
            state = "too little data"
        wanted = (
            f"at least {FEWEST_NEGATIVES} negatives (there are {figures.negative_groups})"
            if few
            else f"more images of every class, until the bound of the {name} is below {limit:g}"
        )
        got = f"{_number(change.loss)} (up to {_number(change.bound)})"
        yield Check(name, got, f"≤ {limit:g}", state, wanted)


def _flips(figures: Figures, limit: float) -> Check:
    share = figures.flips / figures.images if figures.images else float("nan")
    got = f"{figures.flips} of {figures.images}, {share:.2%} (up to {figures.flips_bound:.2%})"
    wanted = positives_needed(limit)
    needs = f"at least {wanted} images of which none flips" if wanted else "a limit above 0"
    return Check("decision flips", got, f"≤ {limit:.1%}", _state(share, figures.flips_bound, limit),
                 needs + f" (there are {figures.images})")  # fmt: skip


def _changes(figures: Figures, limit: float) -> Iterator[Check]:
    """The largest of all is shown and not judged: it grows with every image that is added."""
    found = figures.change_p99
    got = f"{_number(found)} in 99 of 100 images, {_number(figures.change_max)} at most"
    yield Check("change of probability", got, f"≤ {limit:g}", _state(found, found, limit),
                "images that both can score")  # fmt: skip
    if (alone := figures.member_p99) is not None:
        got = f"{_number(alone)} in 99 of 100 images ({figures.member_most})"
        yield Check("the same of each member alone", got, f"≤ {limit:g}",
                    _state(alone, alone, limit), "images that both can score")  # fmt: skip


def _masks(figures: Figures, limits: GateLimits) -> Iterator[Check]:
    """Their mean hides a segmenter that is as good as ever on most images and lost on a few."""
    if figures.masks is None or figures.masks_p99 is None:
        return
    change, low, needs = figures.masks, figures.masks_p99, "more images with a lesion"
    got = f"{_number(change.candidate)} (down to {_number(1 - change.bound)})"
    yield Check("agreement of masks", got, f"≥ {limits.mask_agreement:g}",
                _state(change.loss, change.bound, 1 - limits.mask_agreement), needs)  # fmt: skip
    yield Check("the same in 99 of 100 images", f"at least {_number(low)}",
                f"≥ {limits.mask_agreement_p99:g}",
                _state(1 - low, 1 - low, 1 - limits.mask_agreement_p99), needs)  # fmt: skip


def _number(value: float) -> str:
    return "unknown" if value != value else f"{value:.4f}"
