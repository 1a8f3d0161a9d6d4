"""What the screen asks of the device, and what a clinic's own software may."""

from __future__ import annotations

import csv
import hashlib
import http.client
import io
import json
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from runtime.capture.multipart import Parts
from runtime.decode import decode_image
from runtime.web.app import MOST_STREAMS
from tests.bundle_factory import bundle_fields, explaining, picture
from tests.runtime.capture.waiting import until
from tests.runtime.web.screens import OWN, Screen, in_a_hurry, running


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    fields = explaining(bundle_fields())
    fields["decision"]["threshold"] = 0.4
    with in_a_hurry(tmp_path_factory.mktemp("screen"), fields) as screen:
        yield screen


@pytest.fixture(autouse=True)
def well(screen: Screen) -> None:
    screen.camera.way = "well"
    until(lambda: screen.station.loop.camera.status.state == "live", "not live")


def test_a_capture_is_kept_and_told(screen: Screen) -> None:
    answer = screen.send("/api/captures", {"patient": "p1", "age": 61, "note": "<b>left</b>"})
    assert answer.status == 201, answer.body
    capture = answer.json
    assert capture["patient"] == {"patient": "p1", "age": 61, "note": "<b>left</b>"}
    record = capture["record"]
    assert record["status"] == "ok"
    assert record["metadata"] == {"age": 61}
    assert record["source"] == "test"
    assert capture["outline"], "the lesion has a border"
    assert all(
        0 <= number <= 1 for curve in capture["outline"] for pair in curve for number in pair
    )
    assert screen.ask(f"/api/captures/{capture['number']}").json == capture
    assert capture in screen.ask("/api/captures").json
    assert list(screen.station.store.problems()) == []


def test_a_press_is_for_one_screen(screen: Screen) -> None:
    presses = screen.station.presses
    presses.note()
    address = f"/api/captures?press={presses.number}"
    assert screen.send("/api/captures?press=x", {}).status == 410
    assert screen.send(address, {"patient": "p3"}).json["patient"] == {"patient": "p3"}
    before = len(screen.station.store.captures())
    assert screen.send(address, {"patient": "p4"}).status == 410
    assert len(screen.station.store.captures()) == before
    assert not presses.left()


def test_its_picture_is_what_was_judged(screen: Screen) -> None:
    capture = screen.send("/api/captures", {}).json
    answer = screen.ask(f"/api/captures/{capture['number']}/picture?side=4000")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = decode_image(answer.body, "it").astype(float)
    kept = screen.station.store.capture(capture["number"])
    assert kept is not None
    stored = decode_image(screen.station.store.picture(kept.image or ""), "it").astype(float)
    assert shown.shape == stored.shape
    assert np.abs(shown - stored).mean() < 4
    for side in ("64", "0", "-1", "99999", "x", "1e3"):
        small = screen.ask(f"/api/captures/{capture['number']}/picture?side={side}")
        assert small.status == 200
        assert max(decode_image(small.body, "it").shape) == (64 if side == "64" else 320)


def test_its_heat_map_is_a_layer_over_it(screen: Screen) -> None:
    number = screen.send("/api/captures", {}).json["number"]
    answer = screen.ask(f"/api/captures/{number}/heatmap")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    layer = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert layer is not None
    assert layer.shape == (240, 320, 4)
    assert layer[..., 3].min() == 0
    assert layer[..., 3].max() > 150
    assert screen.ask("/api/about").json["explains"]
    assert screen.ask("/api/captures/999/heatmap").status == 404


def test_a_bundle_without_heat_maps_says_so(tmp_path: Path) -> None:
    with running(tmp_path, fields=bundle_fields()) as screen:
        screen.ready()
        number = screen.send("/api/captures", {}).json["number"]
        answer = screen.ask(f"/api/captures/{number}/heatmap")
        assert (answer.status, answer.json["what"]) == (400, "The bundle tiny makes no heat maps.")
        assert not screen.ask("/api/about").json["explains"]


def test_events_tell_what_is_seen(screen: Screen) -> None:
    connection = http.client.HTTPConnection(urlsplit(screen.url).netloc, timeout=60)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    view = json.loads(answer.readline().removeprefix(b"data: "))
    connection.close()
    assert view["state"] == "live"
    assert view["pressed"] == screen.station.presses.number
    counts = view["counts"]
    fates = ("good", "rejected", "dropped", "waiting")
    assert counts["received"] == sum(counts[fate] for fate in fates)


def test_the_live_picture_is_jpeg_after_jpeg(screen: Screen) -> None:
    connection = http.client.HTTPConnection(urlsplit(screen.url).netloc, timeout=60)
    connection.request("GET", "/live")
    answer = connection.getresponse()
    parts, found = Parts(b"--frame"), []
    while len(found) < 3:
        found += parts.feed(answer.read1(1 << 16))
    connection.close()
    assert all(decode_image(jpeg, "it").shape == (240, 320, 3) for jpeg in found)
    assert found[0] != found[1]


@pytest.mark.parametrize("way", ["stalled", "frozen"])
def test_without_a_live_picture_nothing_is_captured(screen: Screen, way: str) -> None:
    screen.camera.way = way  # type: ignore[assignment]
    until(lambda: screen.station.loop.camera.status.state != "live", "not noticed")
    before = len(screen.ask("/api/captures").json)
    answer = screen.send("/api/captures", {})
    assert answer.status == 409
    assert "no live picture" in answer.json["what"]
    assert answer.json["remedy"]
    assert len(screen.ask("/api/captures").json) == before


def test_a_full_disk_is_said(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(screen.station.store), "free_mb", lambda _: -1.0)
    answer = screen.send("/api/captures", {})
    assert answer.status == 507
    assert "disk is full" in answer.json["what"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"age": [1]}', b'"x"', b"\xff"])
def test_forms_that_are_none(screen: Screen, body: bytes) -> None:
    answer = screen.ask("/api/captures", "POST", body, OWN)
    assert answer.status == 422
    assert answer.json["what"]


@pytest.mark.parametrize("body", [rb'{"note": "\ud83d"}', b'{"age": NaN}', b'{"age": 1e999}'])
def test_what_could_not_be_read_again_is_not_kept(screen: Screen, body: bytes) -> None:
    before = len(screen.ask("/api/captures").json)
    assert screen.ask("/api/captures", "POST", body, OWN).status == 422
    assert len(screen.ask("/api/captures").json) == before
    assert screen.ask("/api/export.zip").status == 200


def test_exports(screen: Screen) -> None:
    screen.send("/api/captures", {"patient": "p7", "note": "=1+1"})
    captures = screen.ask("/api/captures").json
    table = screen.ask("/api/export.csv")
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert len(rows) == len(captures)
    assert rows[-1]["patient.note"] == "'=1+1"
    lines = screen.ask("/api/export.jsonl").body.splitlines()
    assert json.loads(lines[-1])["patient"] == {"patient": "p7", "note": "=1+1"}
    with zipfile.ZipFile(io.BytesIO(screen.ask("/api/export.zip").body)) as archive:
        assert archive.testzip() is None
        assert len([n for n in archive.namelist() if n.startswith("pictures/")]) == len(captures)
    assert screen.ask("/api/export.doc").status == 404


def test_an_export_goes_by_the_store_and_leaves_nothing(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/tmp may be memory, or a disk that others keep."""
    folder, made = screen.station.store.folder, []
    real = tempfile.TemporaryFile

    def watched(**given: object) -> object:
        made.append(given)
        return real(**given)  # type: ignore[call-overload]

    monkeypatch.setattr("runtime.web.app.tempfile.TemporaryFile", watched)
    before = sorted(folder.iterdir())
    assert screen.ask("/api/export.zip").status == 200
    assert made == [{"dir": folder}]
    assert sorted(folder.iterdir()) == before
    monkeypatch.setattr("runtime.web.app.tempfile.TemporaryFile", _full)
    answer = screen.ask("/api/export.zip")
    assert (answer.status, answer.json["got"]) == (500, "No space left on device")
    assert "sessions export" in answer.json["remedy"]


def _full(**given: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_clinics_own_software_sends_pictures(screen: Screen) -> None:
    frame = picture()
    png = cv2.imencode(".png", frame)[1].tobytes()
    answer = screen.ask("/api/infer?age=50", "POST", png, OWN)
    assert answer.status == 200, answer.body
    direct = screen.station.loop.judge(frame, {"age": 50}).result(60).result
    assert answer.json["score"] == pytest.approx(direct.score)
    assert answer.json["metadata"] == {"age": 50}
    assert screen.ask("/infer?age=50", "POST", png, OWN).json["score"] == answer.json["score"]
    for body in (b"", b"no picture", png[:-40]):
        assert screen.ask("/api/infer", "POST", body, OWN).status == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"age": 500},
        {"age": "abc"},
        {"age": True},
        {"bogus": 1},
        {"patient": 17},
        {"note": "x" * 501},
    ],
)
def test_a_form_that_says_what_cannot_be(screen: Screen, fields: dict[str, object]) -> None:
    before = len(screen.station.store.captures())
    assert screen.send("/api/captures", fields).status == 422
    assert len(screen.station.store.captures()) == before


@pytest.mark.parametrize(
    ("query", "got"),
    [
        ("age=abc", "'abc'"),
        ("age=1_0", "'1_0'"),
        ("age=nan", "'nan'"),
        ("age=200", "200"),
        ("age=" + "9" * 400, "inf"),
        ("foo=1", "'foo'"),
        ("age=61&foo=1", "'foo'"),
        ("note=" + "x" * 501, "x"),
    ],
)
def test_what_is_said_of_a_sent_picture_is_checked_as_a_form_is(
    screen: Screen, query: str, got: str
) -> None:
    data = cv2.imencode(".png", picture(240, 320))[1].tobytes()
    answer = screen.ask(f"/api/infer?{query}", "POST", data, OWN)
    assert answer.status == 422
    assert got in answer.json["got"]


def test_a_number_in_an_address_is_one(screen: Screen) -> None:
    data = cv2.imencode(".png", picture(240, 320))[1].tobytes()
    for query, metadata in (
        ("age=61.5&sex=", {"age": 61.5}),
        ("age=", {}),
        ("site=9", {"site": "9"}),
    ):
        answer = screen.ask(f"/api/infer?{query}", "POST", data, OWN)
        assert answer.json["metadata"] == metadata


def test_a_record_of_a_sent_picture_names_it(screen: Screen) -> None:
    data = cv2.imencode(".png", picture(240, 320))[1].tobytes()
    record = screen.ask("/api/infer", "POST", data, OWN).json
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["source"] == "sent"
    assert record["time"]


def test_a_picture_that_a_small_device_cannot_hold_is_refused(screen: Screen) -> None:
    from PIL import Image

    packed = io.BytesIO()
    Image.new("1", (8000, 7000)).save(packed, "PNG")
    answer = screen.ask("/api/infer", "POST", packed.getvalue(), OWN)
    assert answer.status == 422
    assert "8000 × 7000" in str(answer.json)


def test_what_the_device_says_of_itself(screen: Screen) -> None:
    for _ in range(2):
        screen.send("/api/captures", {})
    device = screen.ask("/api/device").json
    assert device["captures"].keys() == {"p50", "p90", "p99"}
    assert device["counts"]["openings"] >= 1
    assert device["versions"]["starlette"]
    about = screen.ask("/api/about").json
    assert about["bundle"]["name"] == "tiny"
    assert about["decision"]["threshold"] == 0.4
    assert about["camera"] == {"pixels_per_mm": None, "polarisation": None}
    assert device["camera"]["frames_per_second"] > 0
    assert screen.ask("/health").json == {"ok": True, "camera": "live"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/captures/999999", "/api/captures/0/picture", "/api/captures/1e9", "/nowhere",
        "/static/none.js", "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py",
        "/api/captures/99999999999999999999", "/api/captures/99999999999999999999/picture",
        "/api/captures/99999999999999999999/heatmap", "/api/captures/" + "9" * 5000,
        "/static//etc/passwd", "/api/captures/../../etc/passwd",
    ],
)  # fmt: skip
def test_what_is_not_there(screen: Screen, path: str) -> None:
    assert screen.ask(path).status == 404


def test_captures_of_another_session_are_not_shown(screen: Screen) -> None:
    store = screen.station.store
    other = store.begin({"bundle": "tiny", "camera": "other"})
    record = screen.station.loop.judge(picture(), {}).result(60).result
    number = store.add(other, b"x", record, {})
    assert screen.ask(f"/api/captures/{number}").status == 404
    assert screen.ask(f"/api/captures/{number}/picture").status == 404
    assert number not in [each["number"] for each in screen.ask("/api/captures").json]


def test_onlookers_who_leave_make_room_for_others(screen: Screen) -> None:
    """Also while the camera is dead, and there is nothing to send that would fail."""
    screen.camera.way = "stalled"
    until(lambda: screen.station.loop.camera.status.state != "live", "not noticed")
    for _ in range(2):
        looking: list[socket.socket] = []
        while len(looking) < MOST_STREAMS:
            onlooker, status = look_on(screen)
            if status == 200:
                looking.append(onlooker)
            else:
                onlooker.close()  # those before them have not all gone yet
        last, status = look_on(screen)
        assert status == 503
        for onlooker in (*looking, last):
            onlooker.close()


def look_on(screen: Screen) -> tuple[socket.socket, int]:
    parts = urlsplit(screen.url)
    onlooker = socket.create_connection((parts.hostname, parts.port), timeout=60)
    onlooker.sendall(f"GET /live HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return onlooker, int(onlooker.recv(15).split()[1])


def test_it_stops_while_browsers_look_on(tmp_path: Path) -> None:
    with running(tmp_path) as screen:
        screen.ready()
        connections = []
        for path in ("/live", "/api/events"):
            connection = http.client.HTTPConnection(urlsplit(screen.url).netloc, timeout=60)
            connection.request("GET", path)
            connection.getresponse().read(10)
            connections.append(connection)
    for connection in connections:
        connection.close()


def test_figures_for_prometheus(screen: Screen) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    screen.send("/api/captures", {"patient": "nobody's business"})
    text = screen.ask("/metrics").body.decode()
    assert "nobody" not in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    frames = {s.labels["fate"]: s.value for s in families["dermedge_frames"].samples}
    assert frames.keys() == {"good", "rejected", "dropped"}
    (live,) = families["dermedge_camera_live"].samples
    assert live.value == 1
    (captures,) = families["dermedge_captures"].samples
    assert captures.value >= 1


def test_a_loop_that_hangs_is_not_healthy(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.capture.watch.HUNG_SECONDS", -1.0)
    answer = screen.ask("/health")
    assert (answer.status, answer.json["ok"]) == (503, False)
