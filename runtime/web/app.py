"""The screen's addresses. No part of a request ever becomes a path of the file system."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from typing import IO
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from runtime.capture.loop import NotCaptured
from runtime.capture.station import Station, as_png, check_patient, metadata_of
from runtime.capture.watch import goes_round
from runtime.chain import require_explain
from runtime.decode import decode_image
from runtime.errors import DermedgeError, InputError, UsageError
from runtime.heatmap import Floats, as_layer, over_frame
from runtime.preprocess import Image
from runtime.store.database import StoreBroken
from runtime.store.exporting import KINDS, write_captures
from runtime.store.store import Store
from runtime.web import answers
from runtime.web.asked import TooSlow, body_of, form_in, form_of, side_of, whole
from runtime.web.guard import Guard, client_address, too_many_tries
from runtime.web.metrics import Figures
from runtime.web.pictures import LIVE_SIDE, LivePictures, smaller
from runtime.web.policy import COOKIE, Policy
from runtime.web.tries import TooManyTries

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
EVENT_SECONDS, WAIT_SECONDS = 0.1, 0.1  # a stop waits for either
FRAME_SECONDS = 1.0  # until a page hears that there is no newer picture
MOST_JUDGED = 2  # pictures from elsewhere at once: they are large, and captures go before
MOST_SENDING = 8  # of them on their way in: each may take 64 MB
MOST_PIXELS = 50_000_000  # of a picture that is sent: a small device has not the memory for more
SENT = "sent"  # where a picture is from that no camera here saw
MOST_STREAMS = 16  # browsers that look on at once
STATUS: tuple[tuple[type[DermedgeError], int], ...] = (
    (NotCaptured, 409),
    (StoreBroken, 507),
    (TooSlow, 408),
    (InputError, 422),
    (UsageError, 400),
)
Answer = Callable[[Request], Awaitable[Response]]


def make_app(station: Station, policy: Policy, closing: Event) -> Starlette:
    """`closing` ends the streams, which would go on for as long as anybody looks on."""
    screen = Screen(station, policy, closing)
    routes = [
        Route("/", screen.page),
        Route("/login", screen.login, methods=["GET", "POST"]),
        Route("/health", screen.health),
        Route("/metrics", screen.metrics),
        Route("/static/{name}", screen.static),
        Route("/live", screen.live),
        Route("/api/frame", screen.frame),
        Route("/api/events", screen.events),
        Route("/api/about", screen.about),
        Route("/api/device", screen.device),
        Route("/api/captures", screen.captures, methods=["GET", "POST"]),
        Route("/api/captures/{number}", screen.capture),
        Route("/api/captures/{number}/picture", screen.picture),
        Route("/api/captures/{number}/heatmap", screen.heatmap),
        Route("/api/export.{kind}", screen.export),
        Route("/infer", screen.infer, methods=["POST"]),
        Route("/api/infer", screen.infer, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, policy=policy)],
        exception_handlers={DermedgeError: _failed},
    )


class Screen:
    def __init__(self, station: Station, policy: Policy, closing: Event) -> None:
        self.station, self.policy, self._closing = station, policy, closing
        self._pictures = LivePictures(station.loop.camera)
        self._files = {file.name: file.read_bytes() for file in STATIC.iterdir()}
        self._figures = Figures(station)
        self._streams = self._sending = self._judging = 0

    async def page(self, request: Request) -> Response:
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        if name not in self._files:
            return Response("There is no such page.", 404)
        headers = {"Cache-Control": "no-cache"}
        return Response(self._files[name], media_type=TYPES[Path(name).suffix], headers=headers)

    async def login(self, request: Request) -> Response:
        if request.method == "GET":
            return self._file("login.html")
        form = parse_qs((await body_of(request)).decode("utf-8", "replace"))
        try:
            right = self.policy.try_token(form.get("token", [""])[0], client_address(request.scope))
        except TooManyTries:
            return too_many_tries()
        if not right:
            return RedirectResponse("/login?wrong", 303)
        answer = RedirectResponse("/", 303)
        secure = self.policy.scheme == "https"
        answer.set_cookie(
            COOKIE, self.policy.cookie, httponly=True, secure=secure, samesite="strict"
        )
        return answer

    async def health(self, request: Request) -> Response:
        """For a watchdog: whether the loop goes round. Nothing of patients or pictures."""
        well = goes_round(self.station.loop)
        state = self.station.loop.camera.status.state
        return JSONResponse({"ok": well, "camera": state}, 200 if well else 503)

    async def metrics(self, request: Request) -> Response:
        text = await run_in_threadpool(self._figures.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def live(self, request: Request) -> Response:
        """For other programs: of a stream, our page could not tell how old its pictures are."""
        return self._stream(self._frames(), "multipart/x-mixed-replace; boundary=frame")

    async def frame(self, request: Request) -> Response:
        """The newest picture, where there is one after that number; one is asked for at a time."""
        if self._streams >= MOST_STREAMS:
            return _crowded()
        after = whole(request.query_params.get("after"))
        if after > self.station.loop.camera.status.counts.received:
            after = 0  # that was counted before a new start
        with self._looking_on():
            side = side_of(request.query_params.get("side"))
            found = await self._picture_after(after, FRAME_SECONDS, side)
        if found is None:
            return Response(status_code=204)
        number, jpeg = found
        return Response(jpeg, media_type="image/jpeg", headers={"X-Dermedge-Frame": str(number)})

    async def events(self, request: Request) -> Response:
        return self._stream(self._views(), "text/event-stream")

    def _stream(self, content: AsyncIterator[bytes], kind: str) -> Response:
        if self._streams >= MOST_STREAMS:
            return _crowded()
        return StreamingResponse(self._counted(content), media_type=kind)

    async def _counted(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self._looking_on():
            async for part in content:
                yield part

    @contextmanager
    def _looking_on(self) -> Iterator[None]:
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def _goes_on(self) -> bool:
        return self.station.loop.failed is None and not self._closing.is_set()

    async def _picture_after(
        self, number: int, seconds: float, side: int = LIVE_SIDE
    ) -> tuple[int, bytes] | None:
        until = time.monotonic() + seconds
        found = None
        while found is None and self._goes_on() and time.monotonic() < until:
            found = await run_in_threadpool(self._pictures.after, number, WAIT_SECONDS, side)
        return found

    async def _frames(self) -> AsyncIterator[bytes]:
        number = 0
        while found := await self._picture_after(number, math.inf):
            number, jpeg = found
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"

    async def _views(self) -> AsyncIterator[bytes]:
        with self.station.presses.watched():
            while self._goes_on():
                pressed = self.station.presses.number
                seen = {**answers.view(self.station.loop.view()), "pressed": pressed}
                yield b"data: " + json.dumps(seen).encode() + b"\n\n"
                await asyncio.sleep(EVENT_SECONDS)

    async def about(self, request: Request) -> Response:
        return JSONResponse(answers.about(self.station))

    async def device(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(answers.device, self.station))

    async def captures(self, request: Request) -> Response:
        if request.method == "GET":
            kept = await run_in_threadpool(self.station.store.captures, self.station.session)
            return JSONResponse([answers.capture(each) for each in kept])
        patient = form_of(await body_of(request))
        press = request.query_params.get("press")
        if press is not None and not self.station.presses.take(whole(press)):
            return JSONResponse({"what": "That press was answered already."}, 410)
        number, _ = await run_in_threadpool(self.station.capture, patient)
        return await self._capture(number, 201)

    async def capture(self, request: Request) -> Response:
        return await self._capture(whole(request.path_params["number"]))

    async def _capture(self, number: int, status: int = 200) -> Response:
        kept = await run_in_threadpool(self.station.store.capture, number)
        if kept is None or kept.session != self.station.session:
            return JSONResponse({"what": "There is no such capture in this session."}, 404)
        return JSONResponse(answers.capture(kept), status)

    async def picture(self, request: Request) -> Response:
        png = await run_in_threadpool(self._kept_picture, whole(request.path_params["number"]))
        if png is None:
            return _no_picture()
        side = side_of(request.query_params.get("side"))
        jpeg = await run_in_threadpool(smaller, png, side)
        return Response(jpeg, media_type="image/jpeg")

    async def heatmap(self, request: Request) -> Response:
        """Made anew each time: what is kept of a capture is what was seen, not what was drawn."""
        require_explain(self.station.loop.chain.bundle)
        png = await run_in_threadpool(self._kept_picture, whole(request.path_params["number"]))
        if png is None:
            return _no_picture()
        if self._judging >= MOST_JUDGED:
            return _busy()
        with self._judged():
            frame = await run_in_threadpool(decode_image, png, "the capture")
            heat = await self._heat_of(frame)
        return Response(as_png(as_layer(heat)), media_type="image/png")

    async def _heat_of(self, frame: Image) -> Floats:
        loop = self.station.loop
        lesion = await asyncio.wrap_future(loop.find(frame))
        parts = [
            await asyncio.wrap_future(loop.explain_part(model, frame, lesion))
            for model in loop.chain.explaining
        ]
        return over_frame(parts, *frame.shape[:2])

    def _kept_picture(self, number: int) -> bytes | None:
        kept = self.station.store.capture(number)
        if kept is None or kept.image is None or kept.session != self.station.session:
            return None
        return self.station.store.picture(kept.image)

    async def export(self, request: Request) -> Response:
        kind = "." + request.path_params["kind"]
        if kind not in KINDS:
            return JSONResponse({"what": "csv, jsonl and zip can be had."}, 404)
        session = self.station.session
        file, size = await run_in_threadpool(_exported, self.station.store, session, kind)
        name = f"dermedge-{session[:8]}{kind}"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(size),
        }
        return StreamingResponse(_closing(file), media_type=KINDS[kind], headers=headers)

    async def infer(self, request: Request) -> Response:
        """A clinic's own software: a picture as the body, age, sex and site in the query."""
        bundle = self.station.bundle
        patient = form_in(request.query_params, bundle)
        check_patient(patient, bundle)
        metadata = metadata_of(patient, bundle)
        data = await self._sent(request)
        if data is None or self._judging >= MOST_JUDGED:
            return _busy()
        with self._judged():
            frame = await run_in_threadpool(decode_image, data, "the picture", MOST_PIXELS)
            analysis = await asyncio.wrap_future(self.station.loop.judge(frame, metadata))
        record = analysis.result.model_copy(
            update={
                "time": datetime.now(timezone.utc).isoformat(),
                "source": SENT,
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
        return Response(record.to_json(), media_type="application/json")

    async def _sent(self, request: Request) -> bytes | None:
        """Before its turn to be judged: whoever sends slowly keeps nobody from that."""
        if self._sending >= MOST_SENDING:
            return None
        self._sending += 1
        try:
            return await body_of(request)
        finally:
            self._sending -= 1

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """One of the pictures, beside captures, that wait for the networks or are with them."""
        self._judging += 1
        try:
            yield
        finally:
            self._judging -= 1


def _no_picture() -> Response:
    return JSONResponse({"what": "There is no such picture in this session."}, 404)


def _crowded() -> Response:
    return JSONResponse({"what": "Too many screens look on."}, 503)


def _busy() -> Response:
    return JSONResponse({"what": "Other pictures are being judged; try again."}, 503)


def _exported(store: Store, session: str, kind: str) -> tuple[IO[bytes], int]:
    """A file that nobody else can open, and its size.

    It has no name, and lies beside the store: what it holds is encrypted there and not here, and
    /tmp may be memory, or a disk that others keep.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=store.folder))
            write_captures(store, session, kind, file)
        except OSError as exc:
            raise DermedgeError(
                "The export cannot be written.",
                got=exc.strerror or str(exc),
                expected=f"room for all captures once more in {store.folder}",
                remedy="dermedge sessions export --out FILE  on another disk",
            ) from exc
        size = file.tell()
        file.seek(0)
        stack.pop_all()
        return file, size


async def _closing(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while block := await run_in_threadpool(file.read, 1 << 16):
            yield block


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, DermedgeError)
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    facts = {"what": error.what, "got": error.got, "expected": error.expected}
    return JSONResponse({**facts, "remedy": error.remedy}, status)
