"""The end of a run while somebody looks on."""

from __future__ import annotations

import http.client
import logging
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.runtime.web.screens import running

GRACE_SECONDS, SOON_SECONDS = 120, 60  # generous: a busy machine is slow, a grace period is not


def test_a_stop_does_not_wait_for_those_who_look_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("runtime.web.server.STOP_SECONDS", GRACE_SECONDS)
    with ExitStack() as stack:
        with running(tmp_path) as screen:
            screen.ready()
            streams = []
            for path in ("/live", "/api/events"):
                connection = http.client.HTTPConnection(urlsplit(screen.url).netloc, timeout=60)
                stack.enter_context(closing(connection))
                connection.request("GET", path)
                streams.append(connection.getresponse())
            assert all(stream.read(20) for stream in streams)
            began = time.monotonic()
        assert time.monotonic() - began < SOON_SECONDS
        for stream in streams:
            stream.read()  # whole to its end: one that was broken off raises here
    assert [said for said in caplog.records if said.levelno >= logging.WARNING] == []
    assert "Traceback" not in capfd.readouterr().err
