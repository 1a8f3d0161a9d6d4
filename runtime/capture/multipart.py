"""MJPEG over HTTP: the pictures in a multipart stream, however the camera spells it.

Cameras differ in everything: dashes before the boundary or not, a Content-Length that is right,
wrong or missing, line ends of one character or two, words before the first part. What is given out
is what stood between a part's headers and the next boundary; whether it is a picture, the decoder
says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.capture.source import SourceLost

MOST_HEADER, MOST_BODY = 16_384, 32_000_000
ENDS = (b"\r\n\r\n", b"\n\n")


def boundary_of(content_type: str) -> bytes:
    """From `multipart/x-mixed-replace; boundary=--frame`."""
    kind, _, parameters = content_type.partition(";")
    if not kind.strip().lower().startswith("multipart/"):
        raise SourceLost(
            "The address does not give a stream of pictures.",
            got=content_type.strip() or "no Content-Type",
            expected="multipart/x-mixed-replace",
            remedy="look up the camera's address for MJPEG: often /stream or /video.mjpg",
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "boundary" and value.strip("-"):
            return b"--" + value.removeprefix("--").encode("latin-1", "replace")
    raise SourceLost(
        "The camera does not say where one picture ends.",
        got=content_type.strip(),
        expected="a boundary=… in its Content-Type",
    )


@dataclass
class Parts:
    """Bytes go in as they come; whole parts come out. Holds one part at most."""

    boundary: bytes
    _held: bytearray = field(default_factory=bytearray)
    _body: int | None = None  # where the body of the part begins, once its headers are there
    _length: int | None = None  # of the body, as the camera has it

    def feed(self, data: bytes) -> list[bytes]:
        self._held += data
        done = []
        while (part := self._next()) is not None:
            done.append(part)
        return done

    def _next(self) -> bytes | None:
        while True:
            if self._body is None and not self._headers():
                return None
            assert self._body is not None
            end = self._end(self._body)
            if end is None:
                return None
            part = bytes(self._held[self._body : end])
            del self._held[:end]
            self._body = self._length = None
            if part:
                return part

    def _headers(self) -> bool:
        """Find the next part's headers; what stands before its boundary is dropped."""
        start = self._held.find(self.boundary)
        if start < 0:
            del self._held[: max(len(self._held) - len(self.boundary), 0)]
            return False
        del self._held[:start]
        found = [(place, end) for end in ENDS if (place := self._held.find(end)) >= 0]
        if not found:
            if len(self._held) > MOST_HEADER:
                raise SourceLost("The camera sends headers without end.")
            return False
        place, end = min(found)
        self._body = place + len(end)
        self._length = _content_length(bytes(self._held[:place]))
        return True

    def _end(self, start: int) -> int | None:
        """Where its length says, unless the next boundary comes before; without one, at that."""
        place = self._held.find(self.boundary, start)
        if self._length is not None:
            stop = start + self._length
            if len(self._held) >= stop and not start <= place < stop:
                return stop
        if place < 0:
            if len(self._held) - start > MOST_BODY:
                raise SourceLost("The camera sends a picture without end.")
            return None
        for line_end in (b"\r\n", b"\n"):
            if self._held.endswith(line_end, start, place):
                return place - len(line_end)
        return place


def _content_length(headers: bytes) -> int | None:
    for line in headers.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
            return length if 0 < length <= MOST_BODY else None
    return None
