"""Who may ask: the names that are ours, and the token where one is needed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from runtime.web.tries import Tries

COOKIE = "dermedge"
USUAL_PORT = {"http": 80, "https": 443}  # which browsers leave out


@dataclass(frozen=True)
class Policy:
    hosts: frozenset[str]  # as browsers send them, port included
    scheme: str = "http"
    token: str | None = None
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    tries: Tries = field(default_factory=Tries)

    @property
    def cookie(self) -> str:
        """Of this run alone, and nothing that the token could be read from."""
        key = (self.token or "").encode()
        return hmac.new(key, self.nonce, hashlib.sha256).hexdigest()

    def admits(self, headers: Mapping[str, str], address: str) -> bool:
        """By the cookie of a login, or by a token in a header, of which few may be wrong.

        The cookie goes first, and a wrong one is not counted: nobody guesses one. A screen that
        is logged in stays so while somebody guesses tokens behind the same address.
        """
        if self.token is None or self._has_cookie(headers):
            return True
        bearer = headers.get("authorization")
        return bearer is not None and self.try_token(
            bearer.removeprefix("Bearer ").strip(), address
        )

    def try_token(self, given: str, address: str) -> bool:
        """Raises TooManyTries before it is looked at: a right one would tell a guesser as much."""
        self.tries.require_one(address)
        right = self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())
        if not right:
            self.tries.note_wrong(address)
        return right

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return False
        given = jar[COOKIE].value.encode() if COOKIE in jar else b""
        return hmac.compare_digest(given, self.cookie.encode())

    def names(self, server: tuple[str, int] | None) -> frozenset[str]:
        """What a request may call us that came in there, at an address of this machine.

        An address is no name that somebody could point here.
        """
        if server is None:
            return self.hosts
        host = server[0].partition("%")[0].removeprefix("::ffff:")
        shown = f"[{host}]" if ":" in host else host
        usual = {shown} if server[1] == USUAL_PORT[self.scheme] else set()
        return self.hosts | {f"{shown}:{server[1]}"} | usual
