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

    from vaultq_core.server.asgi import App
    from vaultq_core.server.config import Address
    from vaultq_core.server.tls import LiveContext
    from vaultq_core.wire.limits import Limits

BACKLOG = 256
ABORT_SECONDS = 2.0  # for what outlives the drain


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
    drain_seconds: float,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve until `stop`, then drain: idle connections end, requests have `drain_seconds`, the rest is aborted.

    `ready` is called once, when all of them are served. One listener that fails ends them all.
    """
    waiting = {listener.name for listener in listeners}

    def one_is_ready(name: str) -> None:
        waiting.discard(name)
        if not waiting:
            ready()

    async with asyncio.TaskGroup() as group:
        cutting = group.create_task(_cut_off(listeners, stop, drain_seconds))
        serving = [
            group.create_task(_serve(listener, limits, drain_seconds, stop, one_is_ready)) for listener in listeners
        ]
        await asyncio.wait(serving)
        cutting.cancel()


async def _serve(
    listener: Listener, limits: Limits, drain_seconds: float, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    app = Deadlines(Envelope(listener.app, listener.name), Pace.of(limits))
    capped = CappedSocket(listener.socket.dup(), limits.connections_per_listener)
    config = EdgeConfig(listener.tls, listener.connections, limits, drain_seconds)
    await serve_http(app, capped, config, ready=lambda: ready(listener.name), stop=stop)


async def _cut_off(listeners: Sequence[Listener], stop: asyncio.Event, drain_seconds: float) -> None:
    # From Python 3.12 on, asyncio waits for connections without Hypercorn's deadline (its issue 308).
    await stop.wait()
    await asyncio.sleep(drain_seconds)
    while True:
        for listener in listeners:
            listener.connections.abort_all()
        await asyncio.sleep(ABORT_SECONDS)


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
