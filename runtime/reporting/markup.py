"""HTML made of nested calls: tags are balanced and text is escaped, as nothing else is possible.

File names come from anybody. Besides the five characters of HTML, what cannot be seen is spelled
out (line breaks, marks that turn the writing direction, halves of surrogate pairs), so that a
name neither breaks the page nor passes for another.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from runtime.decode import printable

VOID = frozenset({"img", "link", "meta", "rect", "line", "circle"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def escape(text: str) -> Markup:
    return Markup(html.escape(printable(text), quote=True))


def el(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element. `class_` is class, `data_group` is data-group; None and False are left out."""
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        written = name.rstrip("_").replace("_", "-")
        parts.append(f" {written}" if value is True else f' {written}="{escape(str(value))}"')
    if tag in VOID:
        return Markup("".join((*parts, "/>")))
    return Markup("".join((*parts, ">", *_flat(children), f"</{tag}>")))


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        else:
            yield from _flat(child)


def facts_list(pairs: Iterable[tuple[str, Child]], class_: str = "facts") -> Markup:
    return el(
        "dl", [el("div", el("dt", name), el("dd", value)) for name, value in pairs], class_=class_
    )
