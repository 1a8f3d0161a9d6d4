"""What a request says: its body in time, its form, its numbers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request

from runtime.errors import InputError, UsageError

if TYPE_CHECKING:
    from runtime.bundle import Bundle

BODY_SECONDS = 30.0
SIDES = range(64, 4097)
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)


class TooSlow(UsageError):
    """A body that does not come."""


async def body_of(request: Request) -> bytes:
    try:
        return await asyncio.wait_for(request.body(), BODY_SECONDS)
    except ClientDisconnect as exc:
        raise UsageError("The request broke off.") from exc
    except asyncio.TimeoutError as exc:
        raise TooSlow(
            "The request did not come to its end in time.", expected=f"within {BODY_SECONDS:.0f} s"
        ) from exc


def form_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError as exc:
        raise InputError("The form is not JSON.", got=str(exc)) from exc
    if not isinstance(found, dict) or not all(
        value is None or isinstance(value, (str, int, float)) for value in found.values()
    ):
        raise InputError("The form is an object of texts and numbers.", got=type(found).__name__)
    return found


def form_in(query: Mapping[str, str], bundle: Bundle) -> dict[str, object]:
    """The same form in an address, where everything is text: what is to be a number becomes one."""
    encoder = bundle.chain.metadata
    fields = () if encoder is None else encoder.fields
    numbers = {"age", *(field.name for field in fields if field.kind == "number")}
    return {
        name: _number(text) if name in numbers and NUMBER.fullmatch(text) else text
        for name, text in query.items()
    }


def _number(text: str) -> float:
    """Written as it came: 61 is not 61.0."""
    return float(text) if "." in text or len(text) > 15 else int(text)


def whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def side_of(text: str | None) -> int:
    side = whole(text)
    return side if side in SIDES else 1280
