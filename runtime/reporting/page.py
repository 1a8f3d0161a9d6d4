"""The report as a stream of HTML: the summary first, then one card at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.reporting.document import asset, head
from runtime.reporting.gallery import gallery
from runtime.reporting.markup import el
from runtime.reporting.reading import RunFacts
from runtime.reporting.sections import (
    bundle_words,
    footer,
    masthead,
    plots,
    run_section,
    tiles,
    without_decision,
)
from runtime.reporting.statement import statement
from runtime.reporting.summary import Summary


def render(summary: Summary, facts: RunFacts, overlays: Path) -> Iterator[str]:
    """Pieces of the page in order. No piece holds more than one record's pictures."""
    style, script = asset("style.css"), asset("script.js")
    title = " · ".join(("Scan report", *bundle_words(facts)))
    yield f'<!doctype html>\n<html lang="en">\n{head(title, style, script)}\n<body>\n'
    yield el("a", "Skip to the images", href="#images", class_="skip")
    yield from (masthead(facts, summary), statement(facts, summary), tiles(summary))
    yield from (plots(summary), run_section(facts), "<main>")
    yield from gallery(summary, facts, overlays)
    yield from ("</main>", without_decision(summary), footer())
    yield f"\n<script>{script}</script>\n</body>\n</html>\n"
