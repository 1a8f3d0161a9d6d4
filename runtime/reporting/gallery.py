"""The highest scores as pictures, one card at a time, with buttons to show only some of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.record import Result
from runtime.reporting.cards import card
from runtime.reporting.markup import Markup, el
from runtime.reporting.pictures import load_heatmap, load_pictures
from runtime.reporting.reading import RunFacts
from runtime.reporting.statement import scored_class
from runtime.reporting.summary import TOP, Summary
from runtime.reporting.wording import GROUPS, group_of


def gallery(summary: Summary, facts: RunFacts, overlays: Path) -> Iterator[str]:
    top = summary.top()
    yield '<section id="images">'
    title = f"The {TOP} highest scores" if summary.scored > TOP else "Images by score"
    yield el("h2", title)
    if not top:
        yield el("p", "No image got a score.", class_="empty") + Markup("</section>")
        return
    note = "Highest score first."
    if summary.scored > TOP:
        below = summary.groups["refer"] - sum(group_of(result) == "refer" for result in top)
        note = f"Of {summary.scored:,} images with a score; all are in results.csv."
        if below:
            note += f" {below:,} more to refer are not pictured here."
    yield el("p", note, class_="note")
    yield _filters(top)
    scored = scored_class(facts)
    for rank, result in enumerate(top, start=1):
        pictures, heat = load_pictures(overlays, result), load_heatmap(overlays.parent, result)
        yield "\n" + card(rank, result, pictures, scored, heat)
    yield "\n</section>"


def _filters(top: list[Result]) -> Markup:
    groups = [group_of(result) for result in top]
    shown = ["refer", "abstained"]
    shown += [group for group in GROUPS if group in groups and group not in shown]
    buttons = [
        el(
            "button",
            "All ",
            el("span", f"{len(top):,}"),
            type="button",
            data_show="all",
            aria_pressed="true",
        )
    ]
    buttons += [
        el(
            "button",
            f"{GROUPS[group]} ",
            el("span", f"{groups.count(group):,}"),
            type="button",
            data_show=group,
            aria_pressed="false",
            disabled=group not in groups,
        )
        for group in shown
    ]
    hint = el("p", el("kbd", "j"), " next, ", el("kbd", "k"), " previous", class_="keys")
    state = el("p", class_="unseen", role="status", aria_live="polite")
    return el(
        "div",
        buttons,
        hint,
        state,
        class_="filters",
        role="group",
        aria_label="Show only",
        hidden=True,
    )
