"""A token, in a real browser: only that sends what the guard asks for, or does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.web.server import Listening
from tests.runtime.web.screens import running
from tests.runtime.web.test_guard import TOKEN, self_signed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
WAIT_MS = 60_000
LIVE = "body[data-ready=yes][data-state=live]"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    context.close()


def listening(folder: Path, scheme: str = "http", port: int = 0) -> Listening:
    (folder / "token").write_text(TOKEN + "\n")
    pair = self_signed(folder) if scheme == "https" else ()
    return Listening("127.0.0.1", port, folder / "token", *pair)


def log_in(page: Page, token: str = TOKEN) -> None:
    page.fill("#token", token)
    page.click("form button")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_from_the_token_to_a_capture(page: Page, tmp_path: Path, scheme: str) -> None:
    with running(tmp_path, listening(tmp_path, scheme)) as screen:
        page.goto(screen.url)
        assert page.url == f"{screen.url}/login"
        log_in(page, "a token that is another one")
        page.wait_for_selector("#wrong:not([hidden])")
        log_in(page)
        page.wait_for_selector(LIVE)
        page.click("#capture:enabled")
        page.wait_for_selector("#result:not([hidden]) .verdict")
        assert len(screen.station.store.captures()) == 1
        page.goto("about:blank")


def test_a_device_that_was_started_anew_asks_for_the_token(page: Page, tmp_path: Path) -> None:
    """A tablet on the wall has nobody who would load its page again."""
    with running(tmp_path / "one", listening(tmp_path)) as screen:
        page.goto(screen.url)
        log_in(page)
        page.wait_for_selector(LIVE)
        port = int(screen.url.rpartition(":")[2])
    page.wait_for_selector("body[data-state=gone]")
    with running(tmp_path / "two", listening(tmp_path, port=port)) as screen:
        page.wait_for_url(f"{screen.url}/login")
        log_in(page)
        page.wait_for_selector(LIVE)
        page.goto("about:blank")
