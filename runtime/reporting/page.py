"""The report as a stream of HTML: the summary first, then one card at a time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from runtime.reporting.gallery import gallery
from runtime.reporting.markup import Markup, el
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
    style, script = _asset("style.css"), _asset("script.js")
    yield f'<!doctype html>\n<html lang="en">\n{_head(facts, style, script)}\n<body>\n'
    yield el("a", "Skip to the images", href="#images", class_="skip")
    yield from (masthead(facts, summary), statement(facts, summary), tiles(summary))
    yield from (plots(summary), run_section(facts), "<main>")
    yield from gallery(summary, facts, overlays)
    yield from ("</main>", without_decision(summary), footer())
    yield f"\n<script>{script}</script>\n</body>\n</html>\n"


def _head(facts: RunFacts, style: Markup, script: Markup) -> Markup:
    """The policy lets the page load nothing and run nothing but its own style and script."""
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    return el(
        "head",
        el("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="robots", content="noindex"),
        el("link", rel="icon", href="data:,"),
        el("title", " · ".join(("Scan report", *bundle_words(facts)))),
        el("style", style),
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> Markup:
    return Markup((resources.files("runtime.reporting") / name).read_text(encoding="utf-8"))
