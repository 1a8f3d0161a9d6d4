"""What stands before every request: who may ask, from where, how often and how much.

The screen is reached by a browser that also shows other sites, in a network with other people. So a
request must name a host that is ours (no rebinding of names), carry the token where one is needed,
come from our own pages where it changes something (a header that no foreign form can send), and
keep within limits of size and rate. Every answer forbids the browser what our pages do not need.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.web.policy import Policy
from runtime.web.tries import TooManyTries

OWN_HEADER = "x-dermedge"
SAFE = frozenset({"GET", "HEAD"})
MOST_BYTES: Mapping[str, int] = {"/infer": 64_000_000, "/api/infer": 64_000_000}
USUAL_BYTES = 100_000
RATES: Mapping[str, tuple[float, float]] = {  # a second, and how many at once
    "/api/captures": (2, 6),
    "/infer": (5, 10),
    "/api/infer": (5, 10),
}
NO_TOKEN = "A token is needed."
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none a browser posts the login from "null"
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class TooLarge(Exception):
    """A body went on beyond its limit."""


class Guard:
    """ASGI middleware, outermost."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self.app, self.policy = app, policy
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        answer = refused or self.app
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                written = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    written.setdefault(name, value)
            await send(message)

        try:
            await answer(scope, _limited(receive, _most_bytes(scope["path"])), guarded)
        except TooLarge:
            if not started:
                await _no(413, "The request is too large.")(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        path, method = scope["path"], scope["method"]
        names = self.policy.names(scope.get("server"))
        if headers.get("host", "").lower() not in names:
            return _no(421, "This screen is not reached by that name.")
        if int(_number(headers.get("content-length"))) > _most_bytes(path):
            return _no(413, "The request is too large.")
        if method not in SAFE and (why := self._not_ours(headers, path, names)):
            return _no(403, why)
        if headers.get("sec-fetch-site", "none") == "cross-site" and path != "/":
            return _no(403, "Another site asked for this.")
        if not _is_open(path):
            try:
                admitted = self.policy.admits(headers, client_address(scope))
            except TooManyTries:
                return too_many_tries()
            if not admitted:
                wants_page = "text/html" in headers.get("accept", "")
                return RedirectResponse("/login", 303) if wants_page else _no(401, NO_TOKEN)
        if method not in SAFE and not self._in_time(path):
            return _no(429, "Too many requests; wait a moment.")
        return None

    def _not_ours(self, headers: Headers, path: str, names: frozenset[str]) -> str | None:
        """A form on a foreign page can send neither this header nor our origin."""
        if OWN_HEADER not in headers and path != "/login":
            return f"Requests that change something carry the header {OWN_HEADER}."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"{self.policy.scheme}://{n}" for n in names}:
            return "Another site asked for this."
        return None

    def _in_time(self, path: str) -> bool:
        for prefix, (rate, most) in RATES.items():
            if path.startswith(prefix):
                now = time.monotonic()
                left, then = self._buckets.get(prefix, (most, now))
                left = min(most, left + (now - then) * rate)
                self._buckets[prefix] = (max(left - 1, 0.0) if left >= 1 else left, now)
                return left >= 1
        return True


def _is_open(path: str) -> bool:
    """What is needed to log in, and what says nothing of anyone."""
    return path in ("/login", "/health") or path.startswith("/static/")


def client_address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def too_many_tries() -> JSONResponse:
    return _no(429, "Too many wrong tokens; wait a moment.")


def _most_bytes(path: str) -> int:
    return MOST_BYTES.get(path, USUAL_BYTES)


def _limited(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge
        return message

    return counted


def _number(text: str | None) -> float:
    return float(text) if text and text.isascii() and text.isdigit() else 0.0


def _no(status: int, why: str) -> JSONResponse:
    content: dict[str, Any] = {"what": why}
    return JSONResponse(content, status)
