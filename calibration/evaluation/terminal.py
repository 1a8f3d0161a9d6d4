"""What `evaluate` prints: warnings first, then the key figures, then where the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calibration.evaluation.wording import span_of, title_of, value_of
from runtime.reporting.wording import count, percent, plain

if TYPE_CHECKING:
    from calibration.evaluation.evaluation import Evaluation

LEFT_OUT = {"accuracy", "average_precision", "sensitivity_at_specificity", "jaccard_median", "npv"}


def show(console: Console, evaluation: Evaluation) -> None:
    loud = evaluation.leaks.warnings(len(evaluation.selection.table))
    for warning in evaluation.warnings:
        style = "bold red" if warning in loud else "yellow"
        console.print(Text(("WARNING: " if warning in loud else "note: ") + warning, style=style))
    cases = evaluation.cases
    grid = Table(title=f"{len(cases):,} images", title_justify="left")
    grid.add_column("figure")
    grid.add_column("value", justify="right")
    grid.add_column("95% interval")
    grid.add_column("n", justify="right")
    for name, estimate in evaluation.shown.items():
        if name not in LEFT_OUT:
            grid.add_row(title_of(name), value_of(estimate), span_of(estimate), f"{estimate.n:,}")
    console.print(grid)
    for stranger in evaluation.strangers:
        said = [plain(stranger.label), count(stranger.n, "image")]
        if stranger.called is not None and stranger.scored:
            said.append(f"{percent(stranger.called / stranger.scored)} score as positive")
        said.append(f"{percent(stranger.decided / stranger.n)} decided")
        console.print(f"not a class of the bundle: {', '.join(said)}", soft_wrap=True)
    repeats = evaluation.leaks.repeats
    if repeats:
        console.print(f"{count(len(repeats), 'pair')} of images show the same picture.")
    console.print("Decision support, not a diagnosis.", style="italic")
