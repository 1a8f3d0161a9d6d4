"""A part of a bundle's card.md that a later step writes, and writes anew when it is done again."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.out_folder import write_whole

CARD = "card.md"
CLOSING = "## How to check it"  # what a card ends with, and the recipe behind it
GATE, RELEASE = "## Gate", "## Release"  # of one bundle, and of none that is made from it


def put_section(bundle: Path, heading: str, lines: list[str]) -> None:
    """Replace the section of this heading, or add it before what closes the card."""
    path = bundle / CARD
    if not path.is_file():
        return
    changed = with_section(path.read_text(encoding="utf-8"), heading, lines)
    write_whole(path, changed.encode("utf-8"))


def drop_verdicts(bundle: Path) -> None:
    path = bundle / CARD
    if path.is_file():
        card = path.read_text(encoding="utf-8")
        for heading in (GATE, RELEASE):
            card = _section(heading).sub("", card)
        write_whole(path, card.encode("utf-8"))


def with_section(card: str, heading: str, lines: list[str]) -> str:
    section = "\n".join([heading, "", *lines]).rstrip("\n") + "\n\n"
    here = _section(heading).search(card)
    if here is not None:
        return card[: here.start()] + section + card[here.end() :]
    place = re.search(rf"^{CLOSING}$", card, re.MULTILINE)
    if place is None:
        return card.rstrip("\n") + "\n\n" + section
    return card[: place.start()] + section + card[place.start() :]


def _section(heading: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
