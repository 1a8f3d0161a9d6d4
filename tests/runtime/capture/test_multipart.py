"""Pictures come out of a multipart stream whole, however it is spelt and however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.capture import multipart
from runtime.capture.multipart import Parts, boundary_of
from runtime.capture.source import SourceLost

PICTURES = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=6)
LINE_ENDS = st.sampled_from([b"\r\n", b"\n"])


def stream(pictures: list[bytes], end: bytes, length: bool, preamble: bytes = b"") -> bytes:
    out = preamble
    for picture in pictures:
        out += b"--frame" + end + b"Content-Type: image/jpeg" + end
        out += b"content-length:  %d" % len(picture) + end if length else b""
        out += end + picture + end
    return out + b"--frame" + end


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


@given(PICTURES, LINE_ENDS, st.booleans(), st.lists(st.integers(0, 5000), max_size=20))
def test_whole_pictures_come_out(
    pictures: list[bytes], end: bytes, length: bool, places: list[int]
) -> None:
    """Without lengths a picture must not end as a line does: no decoder would mind the loss."""
    pictures = [picture.replace(b"--frame", b"") + b"\xd9" for picture in pictures]
    parts = Parts(b"--frame")
    data = stream(pictures, end, length, b"words before\r\n")
    assert [p for piece in cut(data, places) for p in parts.feed(piece)] == pictures


def test_with_a_length_a_picture_is_there_before_the_next_one() -> None:
    parts = Parts(b"--frame")
    assert parts.feed(b"--frame\r\nContent-Length: 3\r\n\r\nabc") == [b"abc"]
    assert parts.feed(b"\r\n--frame\r\nContent-Length: 2\r\n\r\nde") == [b"de"]


def test_a_length_that_is_too_long_costs_no_second_picture() -> None:
    first = b"--frame\r\nContent-Length: 900\r\n\r\nabc\r\n"
    second = b"--frame\r\nContent-Length: 2\r\n\r\nde" + b" " * 1000
    assert Parts(b"--frame").feed(first + second) == [b"abc", b"de"]


@pytest.mark.parametrize("length", [b"-1", b"many", b"99999999999", b"0"])
def test_a_length_that_is_none_is_not_used(length: bytes) -> None:
    data = b"--frame\nContent-Length: " + length + b"\n\nabc\n--frame\n"
    assert Parts(b"--frame").feed(data) == [b"abc"]


@pytest.mark.parametrize(
    ("said", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=frame", b"--frame"),
        ("multipart/x-mixed-replace;boundary=--frame", b"--frame"),
        ('Multipart/X-Mixed-Replace; charset=x; Boundary="a b"', b"--a b"),
    ],
)
def test_boundaries(said: str, boundary: bytes) -> None:
    assert boundary_of(said) == boundary


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("image/jpeg", "not give a stream"),
        ("", "not give a stream"),
        ("multipart/x-mixed-replace", "where one picture ends"),
        ("multipart/x-mixed-replace; boundary=--", "where one picture ends"),
    ],
)
def test_what_is_no_stream(said: str, words: str) -> None:
    with pytest.raises(SourceLost, match=words):
        boundary_of(said)


def test_what_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MOST_BODY", 10_000)
    parts = Parts(b"--frame")
    with pytest.raises(SourceLost, match="headers without end"):
        parts.feed(b"--frame\r\n" + b"x: y\r\n" * 10_000)
    parts = Parts(b"--frame")
    with pytest.raises(SourceLost, match="picture without end"):
        parts.feed(b"--frame\r\n\r\n" + b"x" * 20_000)
    parts = Parts(b"--frame")
    for _ in range(100):
        assert parts.feed(b"x" * 1000) == []
    assert len(parts._held) < 10, "what stands before the first boundary is not kept"
