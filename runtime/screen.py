"""What `infer` prints: progress while it runs, then the result, and always what a score means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from runtime.closing import Closing
from runtime.decode import printable
from runtime.reporting.wording import GROUPS, count, plain, score_and_threshold, verdict

if TYPE_CHECKING:
    from typing_extensions import Self

    from runtime.bundle import Bundle
    from runtime.record import Result
    from runtime.reporting.summary import Summary
    from runtime.scan import Progress

PLAIN_SECONDS = 5.0  # between lines where the output is no terminal
RATE_SECONDS = 1.0  # over less than that, a rate is of the few images and not of the machine
STYLES = {"refer": "bold red", "no-referral": "green", "score-only": "cyan"}
UNDECIDED_STYLE = "yellow"


class ProgressView(Closing):
    """A bar on a terminal, now and then a line anywhere else; both on standard error."""

    def __init__(self, total: int | None, noun: str) -> None:
        self._total, self._noun = total, noun
        self._console = Console(stderr=True)
        self._next_line = perf_counter() + PLAIN_SECONDS
        self._bar: Bar | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            columns = (BarColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("starting", total=total)

    def show(self, progress: Progress) -> None:
        if self._bar is not None:
            text = self._text(progress)
            self._bar.update(self._task, completed=progress.seen, description=text)
        elif perf_counter() >= self._next_line:
            self._next_line = perf_counter() + PLAIN_SECONDS
            self._console.print(self._text(progress), highlight=False, soft_wrap=True)

    def _text(self, progress: Progress) -> str:
        of = f" of {self._total:,}" if self._total else ""
        parts = [f"{progress.seen:,}{of} {self._noun}", f"{progress.rate:.1f}/s"]
        if self._total and progress.rate > 0:
            left = max(self._total - progress.seen, 0) / progress.rate
            parts.append(f"{_duration(left)} left")
        if progress.resumed:
            parts.append(f"{progress.resumed:,} done before")
        if progress.unreadable:
            parts.append(f"{progress.unreadable:,} unreadable")
        return ", ".join(parts)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _duration(seconds: float) -> str:
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def meaning(bundle: Bundle) -> str:
    score = plain(bundle.decision.score)
    return (
        f"The score is what the networks give as the probability of {score}. "
        "Decision support for a trained clinician, not a diagnosis."
    )


def print_image(console: Console, result: Result, bundle: Bundle) -> None:
    words, sentence = verdict(result)
    body = Table.grid(padding=(0, 2))
    for name, text in _numbers(result):
        body.add_row(name, text)
    if result.lesion is not None:
        x, y, width, height = result.lesion.box
        area = f"{result.lesion.area_fraction:.1%} of the picture"
        body.add_row("lesion", f"{width} × {height} pixels at {x}, {y}; {area}")
    if "total" in result.timing_ms:
        body.add_row("time", f"{result.timing_ms['total']:.1f} ms")
    head = Text(words, style=_style(result))
    head.append("\n" + sentence, style="not bold default")
    console.print(Panel(head, title=escape(printable(result.source)), title_align="left"))
    console.print(body)
    console.print(Text(meaning(bundle), style="italic"))


def _numbers(result: Result) -> Iterator[tuple[str, str]]:
    """None of a picture that is not to be judged: they would pass for a result."""
    if result.status in ("rejected", "error"):
        return
    if result.score is not None:
        score, threshold = score_and_threshold(result.score, result.threshold)
        yield "score", score + (f"  (threshold {threshold})" if threshold else "")
    for name, value in result.probabilities.items():
        yield plain(name), _bar(value)
    if result.disagreement is not None:
        yield "disagreement", f"{result.disagreement:.3f} between {len(result.members)}"


def _bar(value: float) -> str:
    return f"{value:.3f}  " + "█" * round(value * 30)


def _style(result: Result) -> str:
    from runtime.reporting.wording import group_of

    return STYLES.get(group_of(result), UNDECIDED_STYLE)


def print_folder(
    console: Console, summary: Summary, progress: Progress, bundle: Bundle, noun: str
) -> None:
    top = summary.top()[:10]
    if top:
        title = "Highest scores" if summary.total > len(top) else "Scores"
        table = Table(title=title, title_justify="left", title_style="bold")
        for name, justify in (("score", "right"), ("threshold", "right"), ("result", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        table.add_column("source", overflow="fold")
        for result in top:
            score, threshold = score_and_threshold(result.score or 0.0, result.threshold)
            words = Text(verdict(result)[0], style=_style(result))
            table.add_row(score, threshold or "–", words, escape(printable(result.source)))
        console.print(table)
    console.print(f"{count(summary.total, noun)}: " + ", ".join(_groups(summary)))
    if progress.resumed:
        console.print(f"{progress.resumed:,} of them had been recorded before.")
    if progress.scanned and progress.seconds >= RATE_SECONDS:
        console.print(f"{progress.rate:.1f} a second over {_duration(progress.seconds)}.")
    console.print(Text(meaning(bundle), style="italic"))


def _groups(summary: Summary) -> Sequence[str]:
    names = (group for group in GROUPS if summary.groups[group])
    return [f"{summary.groups[group]:,} {GROUPS[group].lower()}" for group in names]
