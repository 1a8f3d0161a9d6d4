"""Encryption at rest: AES-256-GCM, with a key from a file that the store never holds itself.

What is sealed says what it is (a picture, a record …), and cannot be put in another's place.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Protocol

from runtime.errors import UsageError, missing_extra

MARK = b"DERM1"
NONCE_BYTES, KEY_BYTES = 12, 32


class Seal(Protocol):
    def close(self, kind: str, content: bytes) -> bytes: ...

    def open(self, kind: str, stored: bytes) -> bytes: ...


class Unsealed:
    """Where no key is given: content is stored as it is."""

    def close(self, kind: str, content: bytes) -> bytes:
        return content

    def open(self, kind: str, stored: bytes) -> bytes:
        if stored.startswith(MARK):
            raise UsageError("The store is encrypted.", remedy="name its key with --key FILE")
        return stored


class Sealed:
    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as exc:
            raise missing_extra("cryptography", "sign", "Encryption") from exc
        self._cipher = AESGCM(key)

    def close(self, kind: str, content: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return MARK + nonce + self._cipher.encrypt(nonce, content, kind.encode())

    def open(self, kind: str, stored: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        nonce, sealed = stored[len(MARK) :][:NONCE_BYTES], stored[len(MARK) + NONCE_BYTES :]
        try:
            if not stored.startswith(MARK):
                raise InvalidTag
            return self._cipher.decrypt(nonce, sealed, kind.encode())
        except InvalidTag as exc:
            raise UsageError(
                "The key does not open what is stored.",
                got="another key, or content that was changed",
                remedy="--key with the file that the store was made with",
            ) from exc


def read_seal(key_file: Path | None) -> Seal:
    if key_file is None:
        return Unsealed()
    try:
        text = key_file.read_bytes()
        key = base64.b64decode(text.strip(), validate=True)
    except (OSError, binascii.Error) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "no base64"
        raise _no_key(key_file, reason or str(exc)) from exc
    if len(key) != KEY_BYTES:
        raise _no_key(key_file, f"{len(key)} bytes")
    return Sealed(key)


def _no_key(key_file: Path, got: str) -> UsageError:
    return UsageError(
        f"{key_file} holds no key.",
        got=got,
        expected=f"{KEY_BYTES} random bytes in base64",
        remedy=f"(umask 077; head -c {KEY_BYTES} /dev/urandom | base64 > KEYFILE)",
    )
