"""The three listeners: their addresses, their sockets, and one event loop that serves them all."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vaultq_core.errors import AddressInUse, ConfigInvalid
from vaultq_core.server.connections import CappedSocket, Connections
from vaultq_core.server.deadlines import Deadlines, Pace
from vaultq_core.server.envelope import Envelope
from vaultq_core.server.hypercorn_edge import EdgeConfig, serve_http

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vaultq_core.server.asgi import App, Message, Receive, Scope, Send
    from vaultq_core.server.config import Address
    from vaultq_core.server.tls import LiveContext
    from vaultq_core.wire.limits import Limits

BACKLOG = 256
ABORT_SECONDS = 2.0  # for what outlives the drain
LINGER_SECONDS = 15.0  # longer than a handshake, and than a client keeps an idle connection (httpx: 5 s)


@dataclass(frozen=True, slots=True)
class Patience:
    """What running requests get: when the worker stops, and when another has taken its place. Seconds."""

    drain_seconds: float
    retire_seconds: float


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener in one worker: what it serves, on which bound socket, under which TLS.

    `connections` are its open ones, to end those of a revoked certificate.
    """

    name: str
    socket: socket.socket
    app: App
    tls: LiveContext
    connections: Connections = field(default_factory=Connections)


def bind_listener(name: str, address: Address) -> socket.socket:
    """Return a listening socket. Raises AddressInUse, or ConfigInvalid when this host has no such address."""
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
        _listen(listening, place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"the {name} listener's address {address} is taken") from None
        raise ConfigInvalid(f"the {name} listener cannot use {address}: {error.strerror}") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Return `host:port` as a client would write it."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve_listeners(
    listeners: Sequence[Listener],
    *,
    limits: Limits,
    patience: Patience,
    retire: asyncio.Event,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve until `stop` or `retire`, then end as `patience` says.

    `stop`: idle connections end, requests have `drain_seconds`, the rest is aborted. `retire`: no connection is taken
    any more; those that are open end with their next answer or, idle, after LINGER_SECONDS, and a running request
    has `retire_seconds`. `ready` is called once, when all of them are served. One listener that fails ends them all.
    """
    waiting = {listener.name for listener in listeners}

    def one_is_ready(name: str) -> None:
        waiting.discard(name)
        if not waiting:
            ready()

    ending = _Ending(patience, retire, stop)
    doors = [_Door(listener, limits, ending) for listener in listeners]
    async with asyncio.TaskGroup() as group:
        winding = group.create_task(ending.wind_down(doors))
        serving = [group.create_task(door.serve(one_is_ready)) for door in doors]
        await asyncio.wait(serving)
        winding.cancel()


class _Ending:
    """How a worker ends: `over` is set when its connections are to end."""

    def __init__(self, patience: Patience, retire: asyncio.Event, stop: asyncio.Event) -> None:
        self.patience = patience
        self.retire = retire
        self.over = asyncio.Event()
        self._stop = stop

    async def wind_down(self, doors: Sequence[_Door]) -> None:
        """Wait until it is time to end, then end in good order."""
        retired = asyncio.create_task(self._retired(doors))
        await self._stop_within(None, unless=retired)
        seconds = self.patience.drain_seconds if self._stop.is_set() else self.patience.retire_seconds
        for door in doors:
            door.config.graceful_timeout = seconds
        self.over.set()
        # From Python 3.12 on, asyncio waits for connections without Hypercorn's deadline (its issue 308).
        if self._stop.is_set() or await self._stop_within(seconds):
            await asyncio.sleep(self.patience.drain_seconds)
        while True:
            for door in doors:
                door.listener.connections.abort_all()
            await asyncio.sleep(ABORT_SECONDS)

    async def _retired(self, doors: Sequence[_Door]) -> None:
        await self.retire.wait()
        for door in doors:
            door.take_no_more()
        await asyncio.sleep(LINGER_SECONDS)

    async def _stop_within(self, seconds: float | None, *, unless: asyncio.Task[None] | None = None) -> bool:
        """Wait for `stop`, for so long or until `unless` is done; tell whether it came."""
        stopped = asyncio.create_task(self._stop.wait())
        others = [] if unless is None else [unless]
        try:
            await asyncio.wait([stopped, *others], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopped, *others):
                task.cancel()
        return self._stop.is_set()


class _Door:
    """One listener as it is served: its socket, its settings, and its app with everything around it."""

    def __init__(self, listener: Listener, limits: Limits, ending: _Ending) -> None:
        self.listener = listener
        self.config = EdgeConfig(listener.tls, listener.connections, limits, ending.patience.drain_seconds)
        self._socket = CappedSocket(listener.socket.dup(), limits.connections_per_listener)
        self._app = Deadlines(Envelope(listener.app, listener.name), Pace.of(limits))
        self._ending = ending

    async def serve(self, ready: Callable[[str], None]) -> None:
        name, over = self.listener.name, self._ending.over
        await serve_http(self._answer, self._socket, self.config, ready=lambda: ready(name), stop=over)

    def take_no_more(self) -> None:
        """Leave new connections to the other workers, who accept from the same queue."""
        asyncio.get_running_loop().remove_reader(self._socket)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_goodbye(message: Message) -> None:
            # A client that is told uses a new connection for its next request, and never one that is closing.
            if message["type"] == "http.response.start" and self._ending.retire.is_set():
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        is_http11 = scope["type"] == "http" and scope["http_version"] == "1.1"
        await self._app(scope, receive, with_goodbye if is_http11 else send)


def _listen(listening: socket.socket, place: object) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it on Linux
    try:
        listening.bind(place)  # type: ignore[arg-type]
        listening.listen(BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - the socket API
    except OSError:
        listening.close()
        raise
