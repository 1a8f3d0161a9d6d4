"""A camera that serves MJPEG over HTTP, as network dermatoscopes and small boards do."""

from __future__ import annotations

import base64
import ssl
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from urllib.parse import unquote, urlsplit

from runtime.capture.address import Address
from runtime.capture.multipart import Parts, boundary_of
from runtime.capture.source import FrameDamaged, Place, Source, SourceLost, put
from runtime.decode import decode_image
from runtime.errors import InputError
from runtime.preprocess import Image

SILENCE_SECONDS = 5.0  # of a connection, before it is given up
AT_ONCE = 1 << 22  # bytes: all that the system has kept, so that none of it grows old there
REFUSED = {401: "a user name and password", 403: "access", 404: "another path"}


class HttpMjpeg(Source):
    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._connection = _connection(address.where)
        try:
            self._response = _response(self._connection, address)
            boundary = boundary_of(self._response.headers.get("Content-Type", ""))
        except BaseException:
            self._connection.close()
            raise
        self._parts = Parts(boundary)
        self.what = "MJPEG over HTTP"

    def read(self, place: Place) -> Image:
        pictures: deque[bytes] = deque()
        while not pictures:
            pictures.extend(self._parts.feed(self._more()))
        self.passed_over += len(pictures) - 1
        try:
            picture = decode_image(pictures[-1], "the picture")
        except InputError as error:
            raise FrameDamaged("A picture is damaged.", got=error.one_line) from error
        return put(picture, place)

    def _more(self) -> bytes:
        try:
            data = self._response.read1(AT_ONCE)
        except (OSError, HTTPException) as exc:
            raise SourceLost(f"{self.name} broke off.", got=_words(exc)) from exc
        if not data:
            raise SourceLost(f"{self.name} ended the stream.")
        return data

    def close(self) -> None:
        self._connection.close()


def _connection(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=SILENCE_SECONDS, context=context)
    return HTTPConnection(host, port, timeout=SILENCE_SECONDS)


def _response(connection: HTTPConnection, address: Address) -> HTTPResponse:
    parts = urlsplit(address.where)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": "multipart/x-mixed-replace"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    try:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
    except (OSError, HTTPException, UnicodeError) as exc:
        raise SourceLost(
            f"{address.name} does not answer.",
            got=_words(exc),
            remedy="check that the camera is on, and in the same network",
        ) from exc
    if response.status != 200:
        raise SourceLost(
            f"{address.name} refuses.",
            got=f"{response.status} {response.reason}",
            expected=f"200 OK; it asks for {REFUSED.get(response.status, 'something else')}",
            remedy="http://USER:PASSWORD@HOST/PATH" if response.status == 401 else None,
        )
    return response


def _words(exc: Exception) -> str:
    if isinstance(exc, InvalidURL):  # it would repeat the address, and with it a password
        return "an address with characters that it may not have"
    return str(exc) or type(exc).__name__
