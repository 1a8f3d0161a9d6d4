"""`gate.json` and `gate.html`: what was compared, every limit, every flip. Each stands alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.gating.drawings import Point, differences, histogram, scatter
from runtime.out_folder import write_whole
from runtime.reporting.document import asset, head
from runtime.reporting.markup import Child, Markup, el, facts_list
from runtime.reporting.wording import count, plain

if TYPE_CHECKING:
    from calibration.gating.figures import Change
    from calibration.gating.findings import Findings, Flip
    from runtime.bundle_files import LoadedBundle

LISTED = 500  # flips; a candidate with more is not looked at flip by flip
STYLE = """
.at { fill: var(--fill); opacity: 0.55; } .at.malignant { fill: var(--accent); opacity: 0.8; }
.at.flip { fill: none; stroke: var(--ink); stroke-width: 1.6; opacity: 1; }
.at.malignant.flip { fill: var(--accent); }
.mark { stroke-width: 1; stroke-dasharray: 5 4; } .limit { stroke: var(--accent); }
th, td, th:first-child, td:nth-child(2) { width: auto; overflow-wrap: normal; }
.outline { fill: none; stroke: var(--accent); stroke-width: 1.5; }
td.lost, td.too { font-weight: 650; } td.lost { color: #b3261e; }
"""


def write_report(findings: Findings, folder: Path) -> Path:
    """Both files, and the path of the one that is for people."""
    write_whole(folder / "gate.json", (json.dumps(findings.as_json(), indent=1) + "\n").encode())
    page = folder / "gate.html"
    write_whole(page, "".join(render(findings)).encode())
    return page


def render(findings: Findings) -> Iterator[str]:
    style = Markup(asset("style.css") + STYLE)
    title = f"Gate · {_name(findings.candidate)}"
    yield f'<!doctype html>\n<html lang="en">\n{head(title, style)}\n<body>\n'
    yield from (_masthead(findings), _checks(findings), _sides(findings), _plots(findings))
    yield from (_flips(findings), _facts(findings))
    yield el("footer", el("p", "Made by dermedge. Decision support, not a diagnosis."))
    yield "\n</body>\n</html>\n"


def _masthead(findings: Findings) -> Markup:
    words = {"passed": "passed", "lost": "refused, it loses too much",
             "too little data": "refused, there is too little data to tell"}  # fmt: skip
    return el(
        "header",
        el("p", "dermedge", class_="brand"),
        el("h1", f"Gate: {words[findings.verdict.state]}"),
        el("p", f"{_name(findings.candidate)} on {count(findings.figures.images, 'image')}: "
                f"{findings.figures.counted}; with {findings.backend}",
           class_="lead"),
        [el("p", note, class_="note") for note in findings.notes],
        class_="masthead",
    )  # fmt: skip


def _checks(findings: Findings) -> Markup:
    rows = [
        (check.name, check.got, check.limit, el("td", check.state, class_=check.state.split()[0]))
        for check in findings.verdict.checks
    ]
    note = (
        "“Up to” is the upper bound that 95 of 100 such samples stay below. It is what is held "
        "against the limit: on few images nothing is seen, and much may be lost."
    )
    return _section("Limits", _table(("Check", "Found", "Limit", "Verdict"), rows), note)


def _sides(findings: Findings) -> Markup:
    figures, cost = findings.figures, findings.cost
    changes = [("Sensitivity", figures.sensitivity), ("Specificity", figures.specificity),
               (f"AUC of {findings.sides.reference.score}", figures.auc)]  # fmt: skip
    if figures.mean_auc is not None:
        changes.append(("Mean AUC", figures.mean_auc))
    changes += [(f"AUC, {plain(name)}", area) for name, area in figures.class_aucs.items()]
    rows = [(name, *_change(change)) for name, change in changes]
    rows.append(("Time of an image", f"{cost.reference_ms:.1f} ms", f"{cost.candidate_ms:.1f} ms",
                 f"×{cost.time_ratio:.2f}"))  # fmt: skip
    rows.append(("Size of the networks", f"{cost.reference_bytes / 1e6:.2f} MB",
                 f"{cost.candidate_bytes / 1e6:.2f} MB", f"×{cost.size_ratio:.2f}"))  # fmt: skip
    before, after = findings.precisions
    head = (
        "",
        f"Reference, {before}",
        f"Candidate, {after}",
        "Loss (bootstrap interval of 95 %), up to",
    )
    return _section("Both sides", _table(head, rows))


def _change(change: Change) -> tuple[str, str, str]:
    loss = f"{change.loss:+.4f}"
    if change.low == change.low:
        loss += f" ({change.low:+.4f} to {change.high:+.4f}), {change.bound:.4f}"
    return f"{change.reference:.4f}", f"{change.candidate:.4f}", loss


def _plots(findings: Findings) -> Markup:
    sides = findings.sides
    columns = (sides.reference.scores, sides.candidate.scores, sides.reference.malignant,
               sides.flips)  # fmt: skip
    points = [
        Point(float(one), float(other), bool(malignant), bool(flipped))
        for one, other, malignant, flipped, both in zip(*columns, sides.both, strict=True)
        if both
    ]
    lines = sorted(set(sides.thresholds.tolist()))
    both = "Reference solid, candidate outlined; thresholds dashed."
    drawn = [
        ("Score by score", scatter(points, lines),
         "Reference across, candidate up; thresholds dashed. Coloured: malignant. Ringed: flips."),
        ("Change by score", differences(points, lines),
         "Candidate less reference, by the mean of both; lines at the mean and 1.96 deviations."),
        ("Scores of malignant images",
         histogram([p for p in points if p.malignant], lines), both),
        ("Scores of the others",
         histogram([p for p in points if not p.malignant], lines), both),
    ]  # fmt: skip
    figures = [el("figure", el("h2", t), d, el("figcaption", note)) for t, d, note in drawn]
    return el("section", figures, class_="plots")


def _flips(findings: Findings) -> Markup:
    flips = findings.flips()
    if not flips:
        return _section("Decision flips", el("p", "No decision changed."))
    note = f"{len(flips) - LISTED} more are in gate.json." if len(flips) > LISTED else ""
    head = ("Image", "Label", "Reference", "Score", "Candidate", "Score", "Threshold")
    table = _table(head, [_flip_row(flip) for flip in flips[:LISTED]])
    return _section(f"Decision flips: {len(flips)}", table, note)


def _flip_row(flip: Flip) -> tuple[Child, ...]:
    label = f"{flip.label} (positive)" if flip.malignant else flip.label
    lost = flip.malignant and flip.before == "refer"
    after: Child = el("td", flip.after, class_="lost") if lost else flip.after
    return (flip.id, label, flip.before, _score(flip.reference_score), after,
            _score(flip.candidate_score), _score(flip.threshold))  # fmt: skip


def _facts(findings: Findings) -> Markup:
    references = "; ".join(_name(bundle) for bundle in findings.references)
    limits = ", ".join(f"{k} {v:g}" for k, v in findings.limits.model_dump().items())
    figures = findings.figures
    return el("section", el("h2", "What was compared"), facts_list([
        ("Reference", references), ("Candidate", _name(findings.candidate)),
        ("Precision", " and ".join(findings.precisions)), ("Backend", findings.backend),
        ("Data", findings.data), ("Limits", limits),
        ("Largest change", f"{figures.change_max:.4f} in {figures.change_where}"),
        ("Not scored", f"{figures.unreadable} by the reference, {figures.unscored} by the "
                       "candidate alone"),
    ]), class_="run")  # fmt: skip


def _section(title: str, *content: Child) -> Markup:
    body = [el("p", c, class_="note") if c and not isinstance(c, Markup) else c for c in content]
    return el("section", el("h2", title), body)


def _table(head: Sequence[str], rows: Sequence[Sequence[Child]]) -> Markup:
    def cell(value: Child) -> Child:
        return value if isinstance(value, Markup) else el("td", value)

    return el("table", el("thead", el("tr", [el("th", name, scope="col") for name in head])),
              el("tbody", [el("tr", [cell(v) for v in row]) for row in rows]))  # fmt: skip


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _name(bundle: LoadedBundle) -> str:
    return f"{bundle.spec.name} {bundle.spec.version} ({bundle.digest[:12]})"
