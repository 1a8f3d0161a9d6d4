"""Those who send half and wait, or take nothing of what is sent: nobody else waits for them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import pytest

from runtime.web.app import MOST_JUDGED, MOST_STREAMS
from runtime.web.connections import MOST_FROM_ONE
from runtime.web.server import MOST_CONNECTIONS
from tests.bundle_factory import picture
from tests.runtime.capture.waiting import until
from tests.runtime.web.screens import OWN, Screen, in_a_hurry, running


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with in_a_hurry(tmp_path_factory.mktemp("slow")) as screen:
        yield screen


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def half(screen: Screen, text: str, source: str = "127.0.0.9", room: int = 0) -> socket.socket:
    """A connection on which so much was said, and no more."""
    parts = urlsplit(screen.url)
    begun = socket.socket()
    begun.settimeout(60)
    if room:
        begun.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    begun.bind((source, 0))
    begun.connect((parts.hostname, parts.port))
    begun.sendall(text.replace("\n", "\r\n").replace("HOST", parts.netloc).encode())
    return begun


def is_closed(begun: socket.socket) -> bool:
    try:
        while begun.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


HALF_A_BODY = "POST /infer HTTP/1.1\nHost: HOST\nX-Dermedge: 1\nContent-Length: 9000\n\nhalf"


def test_half_a_picture_keeps_nobody_from_being_judged(screen: Screen, held: ExitStack) -> None:
    for _ in range(MOST_JUDGED + 1):
        held.enter_context(half(screen, HALF_A_BODY))
    png = cv2.imencode(".png", picture(240, 320))[1].tobytes()
    assert screen.ask("/infer", "POST", png, OWN).status == 200


def test_half_a_body_is_waited_for_for_a_while(
    screen: Screen, held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.asked.BODY_SECONDS", 0.2)
    monkeypatch.setattr("runtime.web.connections.HEAD_SECONDS", 0.2)
    for path in ("/infer", "/api/captures"):
        begun = held.enter_context(half(screen, HALF_A_BODY.replace("/infer", path)))
        assert b" 408 " in begun.recv(1 << 16)
        assert is_closed(begun), "what of it is still to come is not waited for either"


@pytest.mark.parametrize("text", ["", "GET / HTTP/1.1\nHost:"])
def test_half_a_head_is_waited_for_for_a_while(
    screen: Screen, held: ExitStack, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("runtime.web.connections.HEAD_SECONDS", 0.2)
    assert is_closed(held.enter_context(half(screen, text)))


def test_a_head_that_comes_bit_by_bit_gains_no_time(
    screen: Screen, held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.connections.HEAD_SECONDS", 0.5)
    begun = held.enter_context(half(screen, "GET /health HTTP/1.1\nHost: HOST\n\n"))
    assert b" 200 " in begun.recv(1 << 16)
    begun.settimeout(0.05)

    def closed() -> bool:
        try:
            begun.sendall(b"G")
            return begun.recv(10) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    until(closed, "it is waited for with every letter anew")


def test_one_address_cannot_take_all_connections(screen: Screen, held: ExitStack) -> None:
    for _ in range(MOST_CONNECTIONS + 10):
        held.enter_context(half(screen, "GET / HTTP/1.1\nHost:"))
    assert screen.ask("/health").status == 200
    assert screen.send("/api/captures", {}).status == 201
    assert 2 * MOST_FROM_ONE < MOST_CONNECTIONS


def test_who_takes_nothing_looks_on_no_longer(
    screen: Screen, held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.connections.STALL_SECONDS", 0.5)
    screen.camera.way = "larger"
    for _ in range(MOST_STREAMS):
        held.enter_context(half(screen, "GET /live HTTP/1.1\nHost: HOST\n\n", room=4096))
    until(lambda: screen.ask("/api/frame").status == 503, "they do not look on")
    until(lambda: screen.ask("/api/frame").status == 200, "they look on for ever")


def test_who_takes_nothing_is_quiet_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as held, running(tmp_path) as screen:
        screen.ready()
        screen.camera.way = "larger"
        for _ in range(3):
            held.enter_context(half(screen, "GET /live HTTP/1.1\nHost: HOST\n\n", room=4096))
        number = screen.station.loop.camera.status.counts.received
        until(
            lambda: screen.station.loop.camera.status.counts.received > number + 200,
            "no pictures fill the buffers",
        )
    assert [said for said in caplog.records if said.levelno >= logging.WARNING] == []
    assert "Traceback" not in capfd.readouterr().err
