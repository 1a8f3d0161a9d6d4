"""Connections that keep nobody else waiting: the server itself would wait for theirs for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # until a request's head is whole, from the connection or the last answer on
STALL_SECONDS = 10.0  # in which a reader takes nothing of what waits for it
MOST_FROM_ONE = 32  # connections of one address; a browser has six


class Connection(H11Protocol):
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if sum(_address(each) == _address(self) for each in self.connections) > MOST_FROM_ONE:
            transport.abort()
        else:
            self._time_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._stall = _cancelled(self._head), _cancelled(self._stall)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stall = _cancelled(self._stall)
        super().resume_writing()

    def shutdown(self) -> None:
        """Whoever takes nothing now is not waited for, and whoever goes on, not to the last."""
        super().shutdown()
        if self.flow.write_paused:
            self.transport.abort()
        self.loop.call_later((self.config.timeout_graceful_shutdown or 0) / 2, self.transport.abort)

    def _time_head(self) -> None:
        """What comes in bit by bit does not begin the time anew."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._head = _cancelled(self._head)
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)


def _address(connection: Any) -> str | None:
    return connection.client and connection.client[0]


def _cancelled(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()
    return None
