"""Pictures of the screen for docs/, of the demo bundle on its sample frames.

python -m tests.runtime.web.screenshots docs/screens
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from runtime import demo
from runtime.bundle_files import load_bundle
from runtime.capture.address import parse_address
from runtime.capture.camera import Camera
from runtime.capture.loop import Loop
from runtime.capture.station import Station
from runtime.chain import open_chain
from runtime.store.store import Store
from runtime.web.server import Listening, serving
from tests.runtime.web.conftest import CHROMIUM

WAYS = {"desktop-light": (1280, 860, "light"), "tablet-dark": (820, 1180, "dark")}
NEXT_FRAME_MS = 4500


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        Store(Path(place)) as store,
        open_chain(load_bundle(demo.BUNDLE)) as chain,
        Camera(parse_address(str(demo.FRAMES))) as camera,
        Loop(camera, chain) as loop,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (width, height, scheme) in WAYS.items():
            session = store.begin({"bundle": "demo", "camera": "frames"})
            station = Station(loop, store, session, "frames")
            with serving(station, Listening("127.0.0.1", 0)) as address:
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page.goto(address)
                take(page, folder, name)
                page.close()
        browser.close()


def take(page: Page, folder: Path, name: str) -> None:
    def shot(what: str) -> None:
        page.wait_for_timeout(600)
        page.screenshot(path=folder / f"{what}-{name}.jpg", type="jpeg", quality=80)

    page.wait_for_selector("#capture:enabled")
    page.fill("#patient", "p17")
    page.fill("#age", "61")
    page.select_option("#site", "posterior torso")
    page.evaluate("document.activeElement.blur()")
    shot("live")
    for _ in range(2):
        page.click("#capture:enabled")
        page.wait_for_selector("#result:not([hidden]) .verdict")
        shot("result")
        page.click("label[for=heat]")
        page.locator("img.heat").evaluate("image => image.decode()")
        shot("heatmap")
        page.click("#again")
        page.wait_for_timeout(NEXT_FRAME_MS)
    page.click("nav a[href='#/history']")
    page.click("#cards li:first-child button.plain")
    page.evaluate("scrollTo(0, 0)")
    shot("history")
    page.click("nav a[href='#/device']")
    shot("device")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
