"""Who may ask: the names that are ours, and the token where one is needed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

COOKIE = "dermedge"


@dataclass(frozen=True)
class Policy:
    hosts: frozenset[str]  # as browsers send them, port included
    scheme: str = "http"
    token: str | None = None
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @property
    def cookie(self) -> str:
        """Of this run alone, and nothing that the token could be read from."""
        key = (self.token or "").encode()
        return hmac.new(key, self.nonce, hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def admits(self, headers: Mapping[str, str]) -> bool:
        if self.token is None:
            return True
        bearer = headers.get("authorization", "")
        if bearer.startswith("Bearer ") and self.is_token(bearer[7:].strip()):
            return True
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return False
        given = jar[COOKIE].value.encode() if COOKIE in jar else b""
        return hmac.compare_digest(given, self.cookie.encode())
