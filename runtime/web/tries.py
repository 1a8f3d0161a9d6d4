"""Wrong tokens, counted by where they come from: whoever guesses slows down nobody but himself."""

from __future__ import annotations

import ipaddress
import time

A_SECOND, AT_ONCE = 0.2, 5.0  # tries from one place
MOST_PLACES = 4096


class TooManyTries(Exception):
    """From there no token is looked at for a while, be it right or wrong."""


class Tries:
    def __init__(self) -> None:
        self._places: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def require_one(self, address: str) -> None:
        if self._left(_place(address)) < 1:
            raise TooManyTries

    def note_wrong(self, address: str) -> None:
        place = _place(address)
        left = self._left(place) - 1
        self._places.pop(place, None)
        if len(self._places) >= MOST_PLACES:  # the one that was quiet for longest
            del self._places[next(iter(self._places))]
        self._places[place] = left, time.monotonic()

    def _left(self, place: str) -> float:
        now = time.monotonic()
        left, then = self._places.get(place, (AT_ONCE, now))
        return min(AT_ONCE, left + (now - then) * A_SECOND)


def _place(address: str) -> str:
    """Of IPv6 the network: a single machine has all addresses of one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(found), 64), strict=False))
