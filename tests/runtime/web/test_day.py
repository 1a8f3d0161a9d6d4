"""The demo bundle on the demo recording, in a real browser, from first picture to export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.web.screenshots import go_through

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = {
    "live", "hint", "result", "heatmap", "rejected", "history", "device", "lost", "login",
}  # fmt: skip


@pytest.mark.slow
def test_a_day_at_the_screen(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.guard.RATES", {})
    go_through(browser, tmp_path, "tablet", "dark")
    assert {file.name.partition("-")[0] for file in tmp_path.glob("*.webp")} == PAGES
