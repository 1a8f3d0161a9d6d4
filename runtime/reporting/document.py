"""The frame of a self-contained page: it loads nothing, and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from runtime.reporting.markup import Markup, el


def head(title: str, style: Markup, script: Markup | None = None) -> Markup:
    """The policy lets the page load nothing and run nothing but its own style and script."""
    allowed = "'none'" if script is None else f"'{_hash(script)}'"
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src {allowed}"
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
        el("title", title),
        el("style", style),
    )


def asset(name: str, package: str = "runtime.reporting") -> Markup:
    return Markup((resources.files(package) / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
