"""A screen that really runs: a camera that can fail, a tiny bundle, a store, a server."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runtime.capture.address import parse_address
from runtime.capture.camera import Camera
from runtime.capture.loop import Loop
from runtime.capture.station import Station
from runtime.chain import open_chain
from runtime.store.store import Limits, Store
from runtime.web.server import Listening, serving
from tests.bundle_factory import bundle_fields, explaining, make_bundle
from tests.runtime.capture.mjpeg_server import NetworkCamera, network_camera
from tests.runtime.capture.test_camera import QUICK
from tests.runtime.capture.waiting import until

OWN = {"X-Dermedge": "1"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Screen:
    url: str
    station: Station
    camera: NetworkCamera

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> Answer:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(
                host, port, timeout=60, source_address=(source, 0), context=context
            )
        else:
            connection = http.client.HTTPConnection(
                host, port, timeout=60, source_address=(source, 0)
            )
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def send(self, path: str, fields: object) -> Answer:
        return self.ask(path, "POST", json.dumps(fields).encode(), OWN)

    def ready(self) -> None:
        until(
            lambda: self.station.loop.view().camera.counts.good > 0, str(self.station.loop.view())
        )


@contextmanager
def running(
    folder: Path, listening: Listening | None = None, fields: dict[str, Any] | None = None
) -> Iterator[Screen]:
    bundle = make_bundle(folder / "bundle", fields or explaining(bundle_fields()))
    with (
        network_camera() as served,
        Store(folder / "store", limits=Limits(free_mb=0)) as store,
        open_chain(bundle, "openvino") as chain,
        Camera(parse_address(served.url), patience=QUICK) as camera,
        Loop(camera, chain) as loop,
    ):
        station = Station(loop, store, store.begin({"bundle": "tiny", "camera": "test"}), "test")
        with serving(station, listening or Listening("127.0.0.1", 0)) as url:
            yield Screen(url.rstrip("/"), station, served)


@contextmanager
def in_a_hurry(folder: Path, fields: dict[str, Any] | None = None) -> Iterator[Screen]:
    """A screen that is live and asked as often as tests like."""
    with pytest.MonkeyPatch.context() as patched, running(folder, fields=fields) as screen:
        patched.setattr("runtime.web.guard.RATES", {})
        screen.ready()
        yield screen
