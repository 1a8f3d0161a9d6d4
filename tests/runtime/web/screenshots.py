"""A working day at the screen, in a real browser: the demo bundle on the demo recording.

    python -m tests.runtime.web.screenshots docs/screens

goes through it on a desktop and on a tablet, in light and in dark; a picture of each page is kept.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime import demo
from runtime.bundle_files import load_bundle
from runtime.capture.address import parse_address
from runtime.capture.camera import Camera
from runtime.capture.camera_profile import Profile
from runtime.capture.loop import Loop
from runtime.capture.station import Station
from runtime.chain import open_chain
from runtime.store.store import Store
from runtime.web.server import Listening, serving
from tests.runtime.capture.test_camera import reader_of
from tests.runtime.capture.waiting import until
from tests.runtime.web.conftest import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = {"desktop": (1280, 860), "tablet": (820, 1180)}
WAYS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
QUALITY = 75
WAIT_MS = 60_000
GOOD, NOT_GOOD = "#hint.good", "#hint:not(.good):not(:empty)"
DRAWN = """Promise.all([...document.images]
    .filter(image => image.offsetParent !== null)
    .map(image => image.decode()))"""
HEIGHT = "document.documentElement.scrollHeight"
PROFILE = Profile(polarisation="crossed", pixels_per_mm=31.0)
Shot = Callable[[str], None]


@dataclass
class Place:
    station: Station
    address: str
    recording: Path  # what the camera plays; moved away, the camera is lost

    def lose(self) -> None:
        self.recording.rename(self.recording.with_suffix(".away"))
        os.kill(reader_of(self.station.loop.camera), signal.SIGKILL)

    def find(self) -> None:
        self.recording.with_suffix(".away").rename(self.recording)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    recording = Path(shutil.copy(demo.RECORDING, folder / "hand.mp4"))
    with (
        Store(folder / "store") as store,
        open_chain(load_bundle(demo.BUNDLE)) as chain,
        Camera(parse_address(str(recording)), PROFILE) as camera,
        Loop(camera, chain) as loop,
    ):
        session = store.begin({"bundle": "demo", "camera": "hand.mp4"})
        station = Station(loop, store, session, "hand.mp4", profile=PROFILE)
        with serving(station, Listening("127.0.0.1", 0)) as address:
            yield Place(station, address.rstrip("/"), recording)


def day(page: Page, at: Place, shot: Shot) -> None:
    """Each step waits for what has to come of it."""
    page.set_default_timeout(WAIT_MS)
    page.goto(at.address)
    patient(page)
    while_it_lasts(page, GOOD, lambda: shot("live"))
    while_it_lasts(page, NOT_GOOD, lambda: shot("hint"))
    first = captured(page, GOOD, "ok")
    assert re.search(r"The outline is \d+\.\d × \d+\.\d mm", page.inner_text("#result"))
    shot("result")
    page.click("label[for=heat]")
    page.locator("img.heat").evaluate("image => image.decode()")
    shot("heatmap")
    page.click("#again")
    second = captured(page, NOT_GOOD, "rejected")
    assert page.locator("label[for=heat]").count() == 0, "a picture that is not to be judged"
    shot("rejected")
    page.click("#again")
    third = captured(page, GOOD, "ok")
    page.click("nav a[href='#/history']")
    page.click("#cards li:first-child button.plain")
    page.wait_for_selector("#compared article:nth-child(2)")
    page.evaluate("scrollTo(0, 0)")
    shot("history")
    exported(page, [first, second, third])
    page.click("nav a[href='#/device']")
    page.wait_for_selector("#facts section")
    assert "crossed" in page.inner_text("#facts")
    shot("device")
    lost_and_found(page, at, shot)
    page.goto(f"{at.address}/login")
    shot("login")


def patient(page: Page) -> None:
    page.fill("#patient", "p17")
    page.fill("#age", "61")
    page.select_option("#site", "posterior torso")
    page.evaluate("document.activeElement.blur()")


def while_it_lasts(page: Page, state: str, act: Callable[[], None]) -> None:
    """The hand moves on: once more, where it was in another state afterwards."""
    lasted = False
    while not lasted:
        page.wait_for_selector(state)
        act()
        lasted = page.locator(state).count() == 1


def captured(page: Page, when: str, wanted: str) -> int:
    """The hand moves on: what is captured may be another frame than the one waited for."""
    while True:
        page.wait_for_selector(when)
        with page.expect_response("**/api/captures") as answer:
            page.click("#capture:enabled")
        page.wait_for_selector("#result:not([hidden]) .verdict")
        kept = answer.value.json()
        if kept["record"]["status"] == wanted:
            return int(kept["number"])
        page.click("#again")


def exported(page: Page, numbers: list[int]) -> None:
    with page.expect_download() as file:
        page.click("a[href='/api/export.csv']")
    lines = Path(file.value.path()).read_text(encoding="utf-8").splitlines()
    there = {int(line.split(",")[0]) for line in lines[1:]}
    assert there >= set(numbers)


def lost_and_found(page: Page, at: Place, shot: Shot) -> None:
    page.click("nav a[href='#/live']")
    page.wait_for_selector("body[data-state=live]")
    at.lose()
    page.wait_for_selector("body:not([data-state=live])")
    assert page.locator("#capture:disabled").count() == 1
    until(lambda: "cannot be played" in page.inner_text("#hint"), "it does not say why")
    shot("lost")
    at.find()
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector("#capture:enabled")


def go_through(browser: Browser, folder: Path, size: str, scheme: str) -> None:
    """One day, a picture a page into `folder`."""
    width, height = SIZES[size]

    with tempfile.TemporaryDirectory() as own, place(Path(own)) as at:
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )

        def shot(what: str) -> None:
            page.evaluate(DRAWN)
            # As high as the whole page: what sticks to the window's end would lie over its middle.
            page.set_viewport_size({"width": width, "height": max(page.evaluate(HEIGHT), height)})
            png = page.screenshot()
            page.set_viewport_size({"width": width, "height": height})
            picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            name = folder / f"{what}-{size}-{scheme}.webp"
            cv2.imwrite(str(name), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])

        day(page, at, shot)
        page.close()


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size, scheme in WAYS:
            go_through(browser, folder, size, scheme)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
