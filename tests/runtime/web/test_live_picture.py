"""The live picture is of now, or it is not shown; a page that nobody sees asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from runtime.decode import decode_image
from tests.runtime.capture.waiting import until
from tests.runtime.web.screens import Screen, in_a_hurry

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

LIVE = "body[data-ready=yes][data-state=live]"
WIDTH_SHOWN = "document.getElementById('video').width"
PIXELS_SHOWN = "document.getElementById('video').toDataURL()"
TURNED = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with in_a_hurry(tmp_path_factory.mktemp("live")) as screen:
        yield screen


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def refuse(route: Route) -> None:
    route.fulfill(status=503, json={"what": "no"})


def test_each_picture_is_newer_than_the_last(screen: Screen) -> None:
    number, seen = 0, []
    for _ in range(3):
        answer = screen.ask(f"/api/frame?after={number}")
        assert answer.status == 200
        assert int(answer.headers["x-dermedge-frame"]) > number
        number = int(answer.headers["x-dermedge-frame"])
        seen.append(answer.body)
    assert len(set(seen)) == 3
    assert all(decode_image(jpeg, "it").shape == (240, 320, 3) for jpeg in seen)


def test_a_number_from_before_a_new_start_is_none(screen: Screen) -> None:
    assert screen.ask("/api/frame?after=999999999").status == 200


def test_without_a_newer_picture_it_says_so(screen: Screen) -> None:
    screen.camera.way = "stalled"
    until(lambda: screen.station.loop.camera.status.state != "live", "not noticed")
    assert screen.ask("/api/frame").status == 204
    screen.camera.way = "well"
    until(lambda: screen.station.loop.camera.status.state == "live", "not live")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["refused", "silent", "broken"])
def test_an_old_picture_is_not_shown_under_live(page: Page, screen: Screen, way: str) -> None:
    """The camera is live and says so; only its pictures stay away, or are none."""
    page.goto(screen.url)
    page.wait_for_selector(LIVE)
    answers = {
        "refused": refuse,
        "silent": lambda route: None,
        "broken": lambda route: route.fulfill(status=200, body=b"\xff\xd8 cut"),
    }
    page.route("**/api/frame*", answers[way])
    page.wait_for_selector("body[data-state=unseen] #picture.dead")
    assert page.locator("#video").evaluate("one => getComputedStyle(one).visibility") == "hidden"
    assert page.is_disabled("#capture")
    assert page.inner_text("#camera") == "The picture does not get through"
    page.keyboard.press("Space")
    assert page.inner_text("#capture-word") == "Capture"
    page.unroute("**/api/frame*")
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#capture:enabled")
    before = page.evaluate(PIXELS_SHOWN)
    until(lambda: page.evaluate(PIXELS_SHOWN) != before, "the picture does not move")


@pytest.mark.slow
def test_the_picture_moves(page: Page, screen: Screen) -> None:
    page.goto(screen.url)
    page.wait_for_selector(LIVE)
    seen: set[str] = set()
    until(lambda: seen.add(page.evaluate(PIXELS_SHOWN)) or len(seen) > 20, "it does not")  # type: ignore[func-returns-value]


@pytest.mark.slow
def test_pages_that_nobody_sees_let_go(page: Page, screen: Screen) -> None:
    """A browser has six connections to a host: three pages that held two each would block all."""
    asked: list[str] = []
    hidden = [page, *(page.context.new_page() for _ in range(4))]
    for each in hidden:
        each.goto(screen.url)
        each.wait_for_selector(LIVE)
        each.evaluate(TURNED, True)
        each.wait_for_selector("body[data-state=gone]")
        assert each.evaluate(WIDTH_SHOWN) == 0
        assert each.is_disabled("#capture")
    until(lambda: screen.station.presses._screens == 0, "a hidden page listens on")
    page.on("request", lambda request: asked.append(request.url))
    last = page.context.new_page()
    last.goto(screen.url)
    last.click("#capture:enabled")
    last.wait_for_selector("#result:not([hidden]) .verdict")
    assert asked == []
    screen.station.presses.note()
    screen.station.presses.take(screen.station.presses.number)
    before = len(screen.station.store.captures())
    page.evaluate(TURNED, False)
    page.wait_for_selector(LIVE)
    until(lambda: page.evaluate(WIDTH_SHOWN) == 320, "the picture does not come back")
    assert len(screen.station.store.captures()) == before, "a press while it was hidden"


@pytest.mark.slow
def test_a_capture_without_an_answer_is_said(page: Page, screen: Screen) -> None:
    def sooner(route: Route) -> None:
        answer = route.fetch()
        assert "SEND_MS = 30_000" in answer.text()
        route.fulfill(response=answer, body=answer.text().replace("30_000", "300"))

    page.route("**/static/server.js", sooner)
    page.route("**/api/captures", lambda route: None)
    page.goto(screen.url)
    page.wait_for_selector(LIVE)
    page.click("#capture:enabled")
    page.get_by_text("look into the history").wait_for()
    page.wait_for_selector("#capture:enabled")
