"""No request holds a connection for longer than it makes progress (the limits are in [limits]).

An ASGI wrapper around each app. It ends a body that stalls or drips, an answer that nobody takes, and an
answer that broke off; and it reads on, up to a bound, when an answer came before the whole body, since a
client that is cut off while it sends may never see the answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultq_core.errors import TooSlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vaultq_core.server.asgi import App, Message, Receive, Scope, Send
    from vaultq_core.server.connections import Connection
    from vaultq_core.wire.limits import Limits

MIB = 2**20
PIECE_BYTES = 2**17  # with stall_seconds = 20, an answer may go as slowly as 6.5 kB/s
DISCARD_BYTES = 16 * MIB  # what is still in the buffers of a fast network


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a client may be. Seconds and bytes; `discard_*` bound what is read after an early answer."""

    stall_seconds: float
    bytes_per_second: int
    discard_seconds: float = 10.0
    discard_bytes: int = DISCARD_BYTES

    @classmethod
    def of(cls, limits: Limits) -> Pace:
        """Return the pace that [limits] allows."""
        return cls(limits.stall_seconds, limits.upload_bytes_per_second)


class Deadlines:
    """`app`, with every receive and send bound in time."""

    def __init__(self, app: App, pace: Pace) -> None:
        self._app = app
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a connection that hypercorn_edge has accepted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection: Connection = scope["extensions"]["vaultq.connection"]
        await _Exchange(connection, receive, send, self._pace).run(self._app, scope)


class _Exchange:
    """One request and its answer."""

    def __init__(self, connection: Connection, receive: Receive, send: Send, pace: Pace) -> None:
        self._connection = connection
        self._receive = receive
        self._send = send
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._received = 0
        self._waited = 0.0
        self._body_ended = False
        self._too_slow = False
        self._answered = False
        self._end_withheld = False

    async def run(self, app: App, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - the envelope inside has logged it; what is left is to cut the answer off
            self._connection.abort()
            return
        if not self._answered:
            self._connection.abort()
        elif self._end_withheld:
            await self._discard_rest()

    async def receive(self) -> Message:
        if self._body_ended:
            return await self._receive()
        before = self._loop.time()
        try:
            async with asyncio.timeout(self._pace.stall_seconds):
                message = await self._receive()
        except TimeoutError:
            raise self._slow(f"nothing of the body came for {self._pace.stall_seconds:g} s") from None
        self._waited += self._loop.time() - before
        self._count(message)
        return message

    async def send(self, message: Message) -> None:
        if self._connection.is_closing():
            raise ConnectionResetError("the client is gone")
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True
            self._end_withheld = not self._body_ended
            message = {**message, "more_body": self._end_withheld}
        for piece in _pieces(message):
            await self._send_in_time(piece)

    def _count(self, message: Message) -> None:
        self._received += len(message.get("body", b""))
        self._body_ended = not message.get("more_body", False)
        if self._body_ended or self._waited <= self._pace.stall_seconds:
            return
        if self._received < self._waited * self._pace.bytes_per_second:
            raise self._slow(f"the body came at less than {self._pace.bytes_per_second} bytes/s")

    def _slow(self, message: str) -> TooSlow:
        self._too_slow = True
        return TooSlow(message)

    async def _send_in_time(self, message: Message) -> None:
        # Not a timeout around the send: cancelled half-way, it would leave half a frame.
        stalled = self._loop.call_later(self._pace.stall_seconds, self._connection.abort)
        try:
            await self._send(message)
        finally:
            stalled.cancel()

    async def _discard_rest(self) -> None:
        try:
            async with asyncio.timeout(self._pace.discard_seconds):
                await self._read_on()
        except TimeoutError:
            pass
        if not self._body_ended:
            self._connection.abort()
        elif not self._connection.is_closing():
            await self._send_in_time({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read_on(self) -> None:
        most = self._received + self._pace.discard_bytes
        while not (self._body_ended or self._too_slow or self._received > most):
            message = await self._receive()
            self._received += len(message.get("body", b""))
            self._body_ended = not message.get("more_body", False)


def _pieces(message: Message) -> Iterator[Message]:
    body = message.get("body", b"")
    if len(body) <= PIECE_BYTES:
        yield message
        return
    view = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        last = start + PIECE_BYTES >= len(body)
        yield {**message, "body": view[start : start + PIECE_BYTES], "more_body": message["more_body"] or not last}
