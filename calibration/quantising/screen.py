"""What `quantize` and `finetune` show while they work, and say of images afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def steps() -> Iterator[Callable[[str, int | None], None]]:
    """Takes what was done, and how often it will be where that is known: one bar for each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def step(what: str, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.advance(tasks[what])

        yield step


def say_of_images(console: Console, held_out: int, unreadable: int) -> None:
    say(console, held_out, "left out: this fold's bundle is to be judged on them")
    say(console, unreadable, "could not be used; calibration.json says why")


def say(console: Console, count: int, what: str) -> None:
    if count:
        noun = "image" if count == 1 else "images"
        console.print(f"Note: {count} {noun} {what}.", highlight=False)
