"""What the reader of a camera and the loop say to each other, one message a packet.

The reader says `Opened`, then `Taken` for every frame it puts into a slot, `Damaged` for every one
it could not read, and at last `Lost`. The loop says nothing but the numbers of slots it hands back.
"""

from __future__ import annotations

import socket
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from runtime.specs import Spec

MOST_BYTES = 4096


class Opened(Spec):
    kind: Literal["opened"] = "opened"
    what: str  # driver, format, size and rate as the camera has them now
    identity: str | None = None  # which camera it is, where that can be told
    device: str | None = None  # where it is now


class Taken(Spec):
    """`number` counts all frames that came, those included that found no room."""

    kind: Literal["taken"] = "taken"
    slot: int
    number: int
    unread: int  # that came since the last message, and of which there is no other word
    taken_ns: int  # of the monotonic clock, which processes of one machine share
    height: int
    width: int
    frozen_ms: float  # for how long the picture has been the very same
    moves: bool  # it has changed since the camera was opened: until then it may be frozen
    black: bool  # no light reaches the camera: what is left is the noise of its sensor


class Damaged(Spec):
    kind: Literal["damaged"] = "damaged"
    number: int
    unread: int
    why: str


class Lost(Spec):
    kind: Literal["lost"] = "lost"
    why: str


Message = Opened | Taken | Damaged | Lost
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def say(channel: socket.socket, message: Message) -> None:
    channel.send(message.model_dump_json().encode())


def hear(channel: socket.socket) -> Message | None:
    """None at the end: the reader has gone."""
    data = channel.recv(MOST_BYTES)
    return _MESSAGE.validate_json(data) if data else None


def hand_back(channel: socket.socket, slot: int) -> None:
    channel.send(bytes([slot]))


def handed_back(channel: socket.socket) -> list[int]:
    """Slots that are the reader's again. EOFError where the loop has gone."""
    slots: list[int] = []
    while True:
        try:
            data = channel.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return slots
        if not data:
            raise EOFError
        slots.append(data[0])
