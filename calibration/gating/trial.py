"""Setting a trial up, in one of two ways, and running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibration.gating.comparable import pair_originals, require_pair, require_twins
from calibration.gating.evidence import Data, held_out, unseen
from calibration.gating.figures import measure
from calibration.gating.findings import Findings
from calibration.gating.run import OWN_CHECK, Match, cost, run_all, spread
from calibration.gating.verdict import Verdict, judge_figures, judge_itself, judge_self_tests
from runtime.bundle import GateLimits

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle


@dataclass(frozen=True)
class Trial:
    """`matches` are the evidence. `own` is the match that the candidate itself is a side of: the
    only one of them, or where folds are the evidence one beside them."""

    matches: tuple[Match, ...]
    own: Match
    folds: bool
    data: str
    limits: GateLimits
    backend: str
    notes: tuple[str, ...]
    originals: bool = False  # the reference of folds: other bundles, not their own float files

    @property
    def images(self) -> int:
        """How many times an image is judged, for the progress bar."""
        runs = (*self.matches, self.own) if self.folds else self.matches
        return 2 * sum(len(match.table) for match in runs)

    def run(self, on_each: Callable[[], None] = lambda: None) -> Findings:
        sides = run_all(self.matches, self.backend, on_each)
        figures = measure(sides)
        checks = judge_figures(figures, self.limits)
        tested = list(self.matches)
        if self.folds:
            checks += judge_itself(measure(self.own.run(self.backend, on_each)), self.limits)
            tested.append(self.own)
        failures = {match.candidate.digest[:12]: match.self_test(self.backend) for match in tested}
        return Findings(
            candidate=self.own.candidate,
            references=tuple(match.reference for match in self.matches),
            folds=self.folds,
            originals=self.originals,
            backend=self.backend,
            precisions=self.own.precisions(self.backend),
            data=self.data,
            limits=self.limits,
            sides=sides,
            figures=figures,
            cost=cost(self.own, self.backend),
            verdict=Verdict((judge_self_tests(failures), *checks)),
            notes=(*self.notes, *_loosened(self.limits)),
        )


def against_reference(
    reference: LoadedBundle, candidate: LoadedBundle, data: Data, backend: str
) -> Trial:
    """Two bundles as they are, on images that neither knows. The limits are the reference's."""
    require_pair(reference, candidate)
    table, notes = unseen(data, [reference, candidate])
    match = Match(reference, candidate, table)
    match.require_difference(backend)
    limits = reference.spec.gate.limits
    return Trial((match,), match, False, data.name, limits, backend, (*data.notes, *notes))


def among_folds(
    folds: Sequence[LoadedBundle],
    candidate: LoadedBundle,
    data: Data,
    backend: str,
    originals: Sequence[LoadedBundle] = (),
) -> Trial:
    """Fold bundles made as the candidate was, each with its float side and its own images.

    They share no weights with the candidate, so it is also held against its own float side: a
    network that was spoilt in it alone would not show in its twins. `originals`, exported of the
    same folds and of the whole run, take the place of the float sides.
    """
    require_twins(folds, candidate, backend)
    before = pair_originals(originals, [*folds, candidate])
    aside = data.only(frozenset(data.table.ids) - data.learned_from(candidate))
    beside = spread(aside if len(aside) else data.table, OWN_CHECK)
    tables = [*(held_out(data, fold) for fold in folds), beside]
    *pairs, own = (
        Match.within(bundle, table) if original is None else Match(original, bundle, table)
        for original, bundle, table in zip(before, [*folds, candidate], tables, strict=True)
    )
    matches = tuple(pairs)
    for match in (*matches, own):
        match.require_difference(backend)
    limits = strictest([bundle.spec.gate.limits for bundle in (*originals, *folds, candidate)])
    notes = [f"Judged: {len(folds)} fold twins of the candidate, each on its held-out images."]
    if not len(aside):
        notes.append("The candidate itself is held against images that it was fine-tuned on.")
    said = (*data.notes, *notes)
    return Trial(matches, own, True, data.name, limits, backend, said, bool(originals))


def strictest(limits: Sequence[GateLimits]) -> GateLimits:
    """Of fold bundles none is the reference of the others, so none may loosen a limit."""
    return GateLimits(
        **{
            name: (max if name.startswith("mask_") else min)(getattr(own, name) for own in limits)
            for name in GateLimits.model_fields
        }
    )


def _loosened(limits: GateLimits) -> list[str]:
    usual = strictest([GateLimits(), limits])
    loose = [
        name for name in GateLimits.model_fields if getattr(usual, name) != getattr(limits, name)
    ]
    return [f"Limits that are looser than is usual: {', '.join(loose)}."] if loose else []
