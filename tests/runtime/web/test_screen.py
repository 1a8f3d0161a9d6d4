"""The screen in a real browser, against a loop that runs: what a doctor sees and does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.capture.waiting import until
from tests.runtime.web.screens import Screen, in_a_hurry, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

WAIT_MS = 60_000
WIDTH_SHOWN = "document.getElementById('video').width"
"""0 until a picture is drawn. Asked again and again, not by wait_for_function: that is a text run
as a program, which the page's policy forbids."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with in_a_hurry(tmp_path_factory.mktemp("screen")) as screen:
        yield screen


@pytest.fixture
def page(browser: Browser, screen: Screen) -> Iterator[Page]:
    """A page that is there. Whatever the browser complains of fails the test."""
    screen.camera.way = "well"
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    foreign: list[str] = []
    page.on("request", lambda asked: foreign.append(asked.url))
    page.goto(screen.url)
    page.wait_for_selector("body[data-ready=yes][data-state=live]")
    yield page
    context.close()
    assert [c for c in complaints if not any(code in c for code in ("409", "410", "422"))] == []
    assert all(url.startswith(screen.url) for url in foreign), "it asks nobody else"


def capture(page: Page) -> None:
    page.click("#capture:enabled")
    page.wait_for_selector("#result:not([hidden]) .verdict")


def judged(page: Page, **fields: object) -> None:
    """What the device says of each capture from now on, with these fields of its record."""

    def answer(route: Route) -> None:
        response = route.fetch()
        said = response.json()
        for each in said if isinstance(said, list) else [said]:
            each["record"].update(fields)
        route.fulfill(response=response, json=said)

    page.route("**/api/captures", answer)


def test_the_live_page(page: Page) -> None:
    page.wait_for_selector("#hint.good")
    assert page.inner_text("#camera") == "Live"
    until(lambda: page.evaluate(WIDTH_SHOWN) == 320, "the stream is not drawn")
    assert page.locator("#picture svg polygon.border").count() == 1
    assert "Not a diagnosis" in page.inner_text("footer")
    assert page.locator("[data-word]:visible").evaluate_all(
        "all => all.every(one => one.textContent.trim() !== '')"
    )


def test_a_capture_with_a_patient(page: Page, screen: Screen) -> None:
    page.fill("#patient", "p17")
    page.fill("#age", "61")
    page.select_option("#sex", "female")
    page.click("#body figure:nth-child(2) [data-site='posterior torso']")
    assert page.input_value("#site") == "posterior torso"
    page.fill("#note", "<img src=x onerror=alert(1)>")
    capture(page)
    words = page.inner_text("#result-words")
    for text in (
        "of p17, posterior torso",
        "Refer",
        "Score",
        "threshold 0.500",
        "What the score means",
        "melanoma",
    ):
        assert text in words, words
    assert (
        page.locator("#result-picture .picture > img:first-child").evaluate(
            "image => image.decode().then(() => image.naturalWidth)"
        )
        == 320
    )
    assert page.locator("#result-picture polygon.border").count() == 1
    page.click("label[for=heat]")
    heat = page.locator("#result-picture img.heat")
    assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    page.get_by_text("no outline of disease").wait_for()
    page.click("label[for=heat]")
    assert heat.is_hidden()
    page.click("label[for=shown]")
    assert page.locator("#result-picture .outline.hidden").count() == 1
    kept = screen.station.store.captures()[-1]
    assert kept.patient == {
        "patient": "p17",
        "age": 61,
        "sex": "female",
        "site": "posterior torso",
        "note": "<img src=x onerror=alert(1)>",
    }
    page.click("#again")
    assert page.input_value("#patient") == "p17", "the next lesion is of the same patient"
    page.click("#new-patient")
    assert page.input_value("#patient") == ""
    assert page.locator(".part.chosen").count() == 0


def test_the_device_s_own_button_captures_with_the_form(page: Page, screen: Screen) -> None:
    """On two pages at once, of which one answers."""
    other = page.context.new_page()
    other.goto(screen.url)
    other.wait_for_selector("body[data-ready=yes][data-state=live]")
    before = len(screen.station.store.captures())
    for shown in (page, other):
        shown.fill("#patient", "p9")
    screen.station.presses.note()
    until(
        lambda: any(shown.locator("#result .verdict").count() for shown in (page, other)),
        "no page shows a result",
    )
    (kept,) = screen.station.store.captures()[before:]
    assert kept.patient == {"patient": "p9"}
    assert not screen.station.presses.left()
    other.close()


def test_by_keyboard_alone(page: Page) -> None:
    page.wait_for_selector("#capture:enabled")
    page.keyboard.press("Space")
    page.wait_for_selector("#result:not([hidden]) .verdict")
    assert page.evaluate("document.activeElement.id") == "again"
    page.keyboard.press("Enter")
    page.wait_for_selector("#live:not([hidden])")
    page.focus("#note")
    page.keyboard.press("Space")
    assert page.input_value("#note") == " ", "in a field it is a space"
    assert page.is_hidden("#result")


def test_space_captures_after_a_click_on_the_tab(page: Page) -> None:
    page.click("nav a[href='#/live']")
    page.wait_for_selector("#capture:enabled")
    page.keyboard.press("Space")
    page.wait_for_selector("#result:not([hidden]) .verdict")
    assert page.inner_text("#result-words .whose") == "no pseudonym, no site"


@pytest.mark.parametrize("status", ["rejected", "error"])
def test_a_picture_that_is_none_to_judge_shows_no_numbers(page: Page, status: str) -> None:
    judged(page, status=status, reason="Hold the camera still", refer=None)
    capture(page)
    numbers = page.locator("#result-words").locator(".score, .chance, .meaning")
    assert page.inner_text("#result-words .verdict p") == "Hold the camera still"
    assert numbers.filter(visible=True).count() == 0
    page.click("#result-words .uncounted > summary")
    page.get_by_text("Nothing follows").wait_for()
    assert numbers.filter(visible=True).count() > 2
    page.click("nav a[href='#/history']")
    short = page.inner_text("#cards li:first-child .short")
    assert short in ("Picture rejected", "Failed")


def test_a_score_without_a_decision_has_no_colour_of_one(page: Page) -> None:
    judged(page, status="abstained", reason="The networks disagree", refer=None)
    capture(page)
    assert "threshold 0.500" in page.inner_text("#result-words .score")
    abstained, *decided = page.locator("#result-words .verdict").evaluate(
        """box => ["abstained", "refer", "no_referral"].map((group) => {
            if (group === "abstained" && !box.classList.contains(group)) throw box.className;
            box.className = `verdict ${group}`;
            return getComputedStyle(box).borderTopColor;
        })"""
    )
    assert abstained not in decided


def test_two_captures_side_by_side(page: Page) -> None:
    page.fill("#patient", "p21")
    page.select_option("#site", "upper extremity")
    for _ in range(2):
        capture(page)
        page.click("#again")
    page.click("nav a[href='#/history']")
    page.click("#cards li:first-child button.plain")
    page.wait_for_selector("#compare:not([hidden]) article:nth-child(2)")
    texts = page.locator("#compared article").all_inner_texts()
    assert all("p21 · upper extremity" in text for text in texts)
    page.click("#close-compare")
    page.wait_for_selector("#compare", state="hidden")
    page.click("#cards li:first-child .thumb")
    page.wait_for_selector("#result:not([hidden]) .verdict")


def test_an_earlier_one_is_of_the_same_site_and_patient(page: Page) -> None:
    for patient, site in (("p31", ""), ("p31", ""), ("p31", "palms/soles"), ("p32", "palms/soles")):
        page.fill("#patient", patient)
        page.select_option("#site", site)
        capture(page)
        page.click("#again")
    page.click("nav a[href='#/history']")
    page.wait_for_selector("#cards li:nth-child(4)")
    for place in range(1, 5):
        assert page.locator(f"#cards li:nth-child({place}) button.plain").count() == 0


def test_an_export_is_a_file(page: Page, tmp_path: Path) -> None:
    capture(page)
    page.click("nav a[href='#/history']")
    with page.expect_download() as download:
        page.click("a[href='/api/export.zip']")
    download.value.save_as(tmp_path / "session.zip")
    assert (tmp_path / "session.zip").read_bytes().startswith(b"PK")


def test_the_device_page(page: Page) -> None:
    page.click("nav a[href='#/device']")
    page.wait_for_selector("#facts section:nth-child(4) dd")
    words = page.inner_text("#facts")
    for text in ("Frames received", "Looks a second", "openvino", "starlette"):
        assert text in words
    assert "[object" not in words


@pytest.mark.parametrize("way", ["frozen", "stalled", "garbage"])
def test_a_dead_camera_shows_no_picture(page: Page, screen: Screen, way: str) -> None:
    """An old picture under a living clock would be taken for the patient's."""
    page.wait_for_selector("#capture:enabled")
    screen.camera.way = way  # type: ignore[assignment]
    page.wait_for_selector("#picture.dead")
    assert page.locator("#video").evaluate("one => getComputedStyle(one).visibility") == "hidden"
    assert page.is_disabled("#capture")
    assert page.inner_text("#lost") == "No live picture"
    assert page.locator("#picture polygon").count() == 0
    screen.camera.way = "well"
    page.wait_for_selector("#picture:not(.dead)")
    until(lambda: page.evaluate(WIDTH_SHOWN) == 320, "the picture does not come back")
    page.wait_for_selector("#capture:enabled")


def test_a_form_that_is_refused_says_why_in_whole_sentences(page: Page) -> None:
    page.fill("#age", "200")
    page.click("#capture:enabled")
    page.wait_for_selector("#trouble:not(:empty)")
    assert page.inner_text("#trouble") == (
        "Not captured. The age is a number of years. Found: 200. Expected: 0 to 120."
    )


def test_several_frames_say_how_far_they_agree(page: Page) -> None:
    fused = {"frames": 4, "spread": 0.0123, "flip_rate": 0.25}
    judged(page, capture=fused, threshold=0.5)
    capture(page)
    words = page.inner_text("#result-words")
    assert "4 frames, spread 0.012" in words
    assert "25 % of the frames alone would be decided otherwise" in words
    judged(page, capture=fused, threshold=None)
    page.click("#again")
    capture(page)
    assert "decided otherwise" not in page.inner_text("#result-words")


def test_pages_of_a_device_that_is_gone_say_so(browser: Browser, tmp_path: Path) -> None:
    errors: list[str] = []
    with running(tmp_path) as screen:
        context = browser.new_context()
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{screen.url}/#/device")
        page.wait_for_selector("#facts section")
    page.wait_for_selector("#facts:empty", state="attached")
    assert page.inner_text("#device-trouble") == "The device does not answer"
    page.click("nav a[href='#/history']")
    page.wait_for_selector("#history-trouble:not(:empty)")
    assert page.inner_text("#history-trouble") == "The device does not answer"
    context.close()
    assert errors == []


def test_a_page_that_hears_nothing_at_first_asks_again(page: Page, screen: Screen) -> None:
    fresh = page.context.new_page()
    fresh.set_default_timeout(WAIT_MS)
    fresh.route("**/api/about", lambda route: route.abort())
    fresh.goto(screen.url)
    fresh.get_by_text("The device does not answer").wait_for()
    fresh.unroute("**/api/about")
    fresh.wait_for_selector("body[data-ready=yes][data-state=live]")


def test_a_device_that_is_gone_shows_no_picture(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as screen:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(screen.url)
        page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector("body[data-state=gone] #picture.dead")
    assert page.inner_text("#camera") == "No connection to the device"
    assert page.is_disabled("#capture")
    context.close()


def test_touch_targets_are_large(browser: Browser, screen: Screen) -> None:
    """48 pixels are what a finger in a glove hits."""
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True)
    page = context.new_page()
    page.goto(screen.url)
    page.wait_for_selector("body[data-state=live]")
    page.tap("#capture:enabled")
    page.wait_for_selector("#result:not([hidden]) .verdict")
    for where in ("#live", "#history", "#device", "#result"):
        page.evaluate(f"location.hash = '#/{where[1:]}'")
        page.wait_for_selector(f"{where}:not([hidden])")
        small = page.locator(
            "button, nav a, input:not([type=checkbox]), select, .export a, label.toggle"
        )
        heights = [box["height"] for each in small.all() if (box := each.bounding_box())]
        assert heights
        assert min(heights) >= 44
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 820, f"{where} is wider than the tablet"
    context.close()
