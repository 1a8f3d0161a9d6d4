"""How many pictures a second a browser on this machine shows: python -m tests.runtime.web.page_rate

Chromium without a GPU draws on the same cores that run the networks: a worst case of a device whose
own screen is what a doctor looks at.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
from playwright.sync_api import Response, sync_playwright

from tests.faults.soak import address_of, started
from tests.runtime.web.conftest import CHROMIUM

VIEWPORT = (1280, 800)
SETTLED_S = 3.0


@click.command()
@click.option("--camera", default="synthetic:1920x1080@30", show_default=True)
@click.option("--seconds", default=15.0, show_default=True)
def main(camera: str, seconds: float) -> None:
    width, height = VIEWPORT
    shown = 0

    def count(answer: Response) -> None:
        nonlocal shown
        shown += "/api/frame" in answer.url and answer.status == 200

    with (
        tempfile.TemporaryDirectory() as place,
        started(Path(place), camera) as process,
        sync_playwright() as playwright,
    ):
        url = address_of(process)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("response", count)
        page.goto(url)
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_timeout(SETTLED_S * 1e3)
        before, began = shown, time.monotonic()
        page.wait_for_timeout(seconds * 1e3)
        rate = (shown - before) / (time.monotonic() - began)
        browser.close()
    print(f"{rate:.1f} pictures a second of {camera} in a page of {width} × {height}")


if __name__ == "__main__":
    main()
