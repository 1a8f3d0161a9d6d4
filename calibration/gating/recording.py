"""The verdict goes where it cannot be mislaid: into the candidate's bundle.json and its card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runtime.bundle_files import fields_of, load_bundle, seal
from runtime.card_section import GATE, put_section
from runtime.errors import UsageError
from runtime.gate_state import judged_digest
from runtime.reporting.wording import plain

if TYPE_CHECKING:
    from calibration.gating.figures import Change
    from calibration.gating.findings import Findings, Flat
    from runtime.bundle_files import LoadedBundle


def record(findings: Findings) -> LoadedBundle:
    """Write the verdict into the candidate; the last one counts, and says what came before."""
    candidate = findings.candidate
    if load_bundle(candidate.path).digest != candidate.digest:
        raise UsageError(
            f"{candidate.path} was changed while it was being judged.",
            expected="the bundle that was loaded",
            remedy="gate it again",
        )
    judged = judged_digest(candidate.spec)
    report = findings.flat() | {"refused_before": _refused_before(candidate, judged)}
    fields = fields_of(candidate)
    fields["gate"]["result"] = {
        "passed": findings.verdict.passed,
        "reference": findings.reference_digest,
        "judged": judged,
        "report": report,
    }
    put_section(candidate.path, GATE, list(section_lines(findings, report)))
    return seal(candidate.path, fields)


def _refused_before(candidate: LoadedBundle, judged: str) -> int:
    """Whoever tries data after data until one passes is seen to have done so."""
    had = candidate.spec.gate.result
    if had is None or had.judged != judged:
        return 0
    return int(had.report.get("refused_before") or 0) + (not had.passed)


def section_lines(findings: Findings, report: Flat) -> Iterator[str]:
    figures, cost = findings.figures, findings.cost
    sides = "the bundle it was made from"
    if findings.folds:
        before = findings.precisions[0]
        sides = (
            f"its fold twins in {before}" if findings.originals else "its fold twins' float files"
        )
    if findings.verdict.passed:
        yield f"**Passed** against {sides}, on {findings.data} with {findings.backend}."
    else:
        yield f"**Refused ({findings.verdict.state})** against {sides}: {findings.verdict.why}."
    if findings.folds:
        yield (
            f"The figures are those of {len(findings.references)} bundles of folds, made in the "
            "same way and each judged on images that it had not seen; these networks themselves "
            "have seen all images."
        )
    if report.get("refused_before"):
        yield f"It had been refused {report['refused_before']} times before, on these files."
    yield (
        f"\n{figures.images} images: {figures.counted}. "
        "A loss is held against its limit with its upper bound of 95 %.\n"
    )
    before, after = findings.precisions
    yield f"| | reference ({before}) | candidate ({after}) | loss, up to |"
    yield "|---|---|---|---|"
    yield _row("sensitivity", figures.sensitivity)
    yield _row("specificity", figures.specificity)
    yield _row(f"AUC of {findings.sides.reference.score}", figures.auc)
    if figures.mean_auc is not None:
        yield _row("mean AUC", figures.mean_auc)
    for name, change in figures.class_aucs.items():
        yield _row(f"AUC, {plain(name)}", change)
    yield (
        f"| size | {cost.reference_bytes / 1e6:.2f} MB | {cost.candidate_bytes / 1e6:.2f} MB "
        f"| ×{cost.size_ratio:.2f} |"
    )
    yield (
        f"| time an image | {cost.reference_ms:.1f} ms | {cost.candidate_ms:.1f} ms "
        f"| ×{cost.time_ratio:.2f} |"
    )
    yield "\n| check | found | limit | |\n|---|---|---|---|"
    for check in findings.verdict.checks:
        yield f"| {check.name} | {check.got} | {check.limit} | {check.state} |"


def _row(name: str, change: Change) -> str:
    bound = "" if change.bound != change.bound else f"{change.loss:.4f}, {change.bound:.4f}"
    return f"| {name} | {change.reference:.4f} | {change.candidate:.4f} | {bound} |"
