"""What `gate` prints: how far it is, then every limit with what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from calibration.gating.findings import Findings, Flip

STYLES = {"passed": "green", "lost": "bold red", "too little data": "yellow"}
LISTED = 10


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("judging", total=total)
        yield lambda: bar.advance(task)


def show(findings: Findings) -> None:
    console, figures, cost = Console(), findings.figures, findings.cost
    for note in findings.notes:
        console.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
    grid = Table(title="Gate", title_justify="left")
    for name in ("check", "found", "limit", "verdict"):
        grid.add_column(name, overflow="fold")
    for check in findings.verdict.checks:
        style = STYLES[check.state]
        grid.add_row(check.name, check.got, check.limit, f"[{style}]{check.state}[/]")
    console.print(grid)
    before, after = findings.precisions
    console.print(
        f"{before} → {after}: sensitivity {figures.sensitivity.reference:.4f} → "
        f"{figures.sensitivity.candidate:.4f}, AUC {figures.auc.reference:.4f} → "
        f"{figures.auc.candidate:.4f}, time ×{cost.time_ratio:.2f} "
        f"({cost.reference_ms:.1f} → {cost.candidate_ms:.1f} ms), size ×{cost.size_ratio:.2f}",
        highlight=False,
        soft_wrap=True,
    )
    flips = findings.flips()
    for flip in flips[:LISTED]:
        console.print(f"flip: {escape(_flip(flip))}", highlight=False, soft_wrap=True)
    if len(flips) > LISTED:
        console.print(f"{len(flips) - LISTED} more flips are in the report.", highlight=False)


def _flip(flip: Flip) -> str:
    scores = (flip.reference_score, flip.candidate_score)
    before, after = ("none" if score is None else f"{score:.4f}" for score in scores)
    return f"{flip.id} ({flip.label}): {flip.before} {before} → {flip.after} {after}"
