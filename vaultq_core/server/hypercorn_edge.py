"""The one file that touches Hypercorn's (and asyncio's TLS) internals; docs/adr says why each mend is here.

Hypercorn 0.18.0 as released gives an app no client certificate, blocks for good when an answer comes
before the body was read, loses HTTP/2 connections to early answers, and answers `Upgrade: h2c`.
Every mend below has a test of its own; another version is refused, so that each is looked at again.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from asyncio import sslproto
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

import hypercorn.asyncio.run as hypercorn_run
import hypercorn.asyncio.tcp_server as hypercorn_tcp
from hypercorn.asyncio.task_group import TaskGroup, _handle
from hypercorn.config import Config, Sockets
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol

from vaultq_core.errors import ConfigInvalid
from vaultq_core.server.connections import Connection, Connections
from vaultq_core.server.logs import logger

if TYPE_CHECKING:
    import socket

    from vaultq_core.server.asgi import App, Message, Receive, Scope, Send
    from vaultq_core.server.tls import LiveContext
    from vaultq_core.wire.limits import Limits

HypercornApp = Callable[..., Coroutine[Any, Any, None]]

SUPPORTED = "0.18.0"
RECEIVE_BYTES = 2**18  # measured: 434 -> 537 MB/s for uploads
INBOX_BYTES = 2**20  # what one request may have waiting for its app
EVENT_OVERHEAD = 256  # an empty frame costs memory too
HEADER_BYTES = 16 * 1024
H2_STREAMS = 32
CLOSE_SECONDS = 5.0  # for a client to answer our close_notify
REFUSAL_SECONDS = 0.5  # for a refused client to read the alert before the socket goes


class EdgeConfig(Config):
    """Hypercorn's settings for one listener, with what its connections need to know of it."""

    accesslog = None
    errorlog = None  # the envelope around each app logs
    certfile = keyfile = "-"  # never read: only makes Hypercorn take the TLS way
    include_server_header = False
    h11_max_incomplete_size = HEADER_BYTES
    h2_max_header_list_size = HEADER_BYTES
    h2_max_concurrent_streams = H2_STREAMS
    keep_alive_max_requests = 2**31  # its end drops HTTP/2 streams in flight; idle_seconds bounds a connection

    def __init__(self, tls: LiveContext, connections: Connections, limits: Limits, drain_seconds: float) -> None:
        super().__init__()
        self.tls = tls
        self.connections = connections
        self.ssl_handshake_timeout = limits.handshake_seconds
        self.keep_alive_timeout = limits.idle_seconds
        self.graceful_timeout = drain_seconds

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return our own context in the place of Hypercorn's, which allows TLS 1.2 and tickets."""
        return self.tls.base


async def serve_http(
    app: App, listening: socket.socket, config: EdgeConfig, *, ready: Callable[[], None], stop: asyncio.Event
) -> None:
    """Serve `app` on a bound socket until `stop`, then let requests finish for `graceful_timeout` seconds.

    `ready` is called once the socket is being accepted from. Raises ConfigInvalid on another Hypercorn.
    """
    install()

    async def stopped() -> None:
        ready()
        await stop.wait()

    sockets = Sockets(secure_sockets=[listening], insecure_sockets=[], quic_sockets=[])
    await hypercorn_run.worker_serve(_without_threads(app), config, sockets=sockets, shutdown_trigger=stopped)


def install(version: str | None = None) -> None:
    """Put the mends in place, once a process. Raises ConfigInvalid on a version they weren't made for."""
    found = metadata.version("hypercorn") if version is None else version
    if found != SUPPORTED:
        raise ConfigInvalid(
            f"Hypercorn {found} is installed; the TLS edge was verified with {SUPPORTED} only",
            remedy=f"Install hypercorn=={SUPPORTED}.",
        )
    mends = (
        (hypercorn_tcp, "MAX_RECV", RECEIVE_BYTES),
        (hypercorn_run, "TCPServer", _PeerServer),
        (TaskGroup, "spawn_app", _spawn_app),
        (H2Protocol, "__init__", _init_h2),
        (H11Protocol, "_check_protocol", _stay_with_http11),
        (sslproto.SSLProtocol, "_on_handshake_complete", _end_of_handshake),
    )
    for place, name, mend in mends:
        setattr(place, name, mend)


# --- whose connection it is -----------------------------------------------------------------------


class _PeerServer(hypercorn_tcp.TCPServer):
    """One connection. Without a verified certificate where one is required, it ends before a byte is read."""

    async def run(self) -> None:
        config, transport = self.config, self.writer.transport
        tls = _verified_peer(self.writer)
        if not isinstance(config, EdgeConfig) or tls is None or (config.tls.mutual and not tls["client_cert_sha256"]):
            transport.abort()
            return
        connection = Connection(tls["client_cert_sha256"], self._abort, transport.is_closing)
        self.app = _with_peer(self.app, tls, connection)
        with config.connections.hold(connection):
            await self._serve()

    async def _serve(self) -> None:
        self._task = asyncio.current_task()
        self._aborted = False
        try:
            await super().run()
        except asyncio.CancelledError:
            if not self._aborted:
                raise
        except ExceptionGroup as errors:  # a protocol error that Hypercorn doesn't expect
            self.writer.transport.abort()
            logger("edge").info("connection-failed", reason=type(errors.exceptions[0]).__name__)

    def _abort(self) -> None:
        self.writer.transport.abort()
        if self._task is not None and not self._aborted:
            self._aborted = True
            self._task.cancel()

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()  # the client is gone: nothing is left to wait for

    async def _close(self) -> None:
        given_up = self.loop.call_later(CLOSE_SECONDS, self.writer.transport.abort)
        try:
            await super()._close()
        finally:
            given_up.cancel()

    async def _initiate_server_close(self) -> None:
        await super()._initiate_server_close()
        self.loop.call_later(CLOSE_SECONDS, self.writer.transport.abort)


def _verified_peer(writer: asyncio.StreamWriter) -> dict[str, Any] | None:
    """Return the ASGI `tls` extension: what this very handshake verified. None without TLS."""
    tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if tls is None:
        return None
    der = tls.getpeercert(binary_form=True)
    cipher = tls.cipher()
    return {
        "client_cert_der": der,
        "client_cert_sha256": hashlib.sha256(der).hexdigest() if der else None,
        "tls_version": tls.version(),
        "cipher_suite": cipher[0] if cipher else None,
    }


def _with_peer(app: HypercornApp, tls: dict[str, Any], connection: Connection) -> HypercornApp:
    async def with_peer(scope: Scope, receive: Receive, send: Send, *rest: object) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        scope["extensions"] = {**scope.get("extensions", {}), "tls": dict(tls), "vaultq.connection": connection}
        await app(scope, receive, send, *rest)

    return with_peer


def _without_threads(app: App) -> HypercornApp:
    async def without_threads(scope: Scope, receive: Receive, send: Send, *_threads: object) -> None:
        await app(scope, receive, send)

    return without_threads


# --- an answer before the whole body was read -----------------------------------------------------


class _Inbox:
    """What an app has yet to receive: bounded in bytes, and never waited for once the app or client is gone.

    Hypercorn's own queue is bounded too, but blocks the connection, and then the app's own end, for good.
    """

    def __init__(self) -> None:
        self._events: deque[Message] = deque()
        self._held = 0
        self._closed = False
        self._some = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, event: Message) -> None:
        if event["type"] in {"http.disconnect", "websocket.disconnect"}:
            self.close()
            return
        while self._held >= INBOX_BYTES and not self._closed:
            self._room.clear()
            await self._room.wait()
        if not self._closed:
            self._events.append(event)
            self._held += _weight(event)
            self._some.set()

    async def get(self) -> Message:
        while not self._events:
            if self._closed:
                return {"type": "http.disconnect"}
            self._some.clear()
            await self._some.wait()
        event = self._events.popleft()
        self._held -= _weight(event)
        self._room.set()
        return event

    def close(self) -> None:
        self._closed = True
        self._events.clear()
        self._held = 0
        self._some.set()
        self._room.set()


def _weight(event: Message) -> int:
    return len(event.get("body") or b"") + EVENT_OVERHEAD


async def _spawn_app(
    self: TaskGroup,
    app: HypercornApp,
    config: Config,
    scope: Any,
    send: Any,
) -> Callable[[Message], Awaitable[None]]:
    inbox = _Inbox()

    async def attend() -> None:
        try:
            await _handle(app, config, scope, cast("Any", inbox.get), send, _no_thread, _no_thread)
        finally:
            inbox.close()

    self.spawn(attend)
    return inbox.put


def _no_thread(*_: object) -> None:
    raise RuntimeError("apps of the edge do not use Hypercorn's threads")


class _Sink:
    """Takes what an HTTP/2 client still sends on a stream that was answered; the other streams live on."""

    idle = True

    async def handle(self, event: object) -> None:
        """Drop `event`."""


class _Streams(dict[int, Any]):
    def __missing__(self, stream_id: int) -> _Sink:
        return _Sink()


_hypercorns_init_h2 = H2Protocol.__init__


def _init_h2(self: H2Protocol, *args: Any, **named: Any) -> None:
    _hypercorns_init_h2(self, *args, **named)
    self.streams = _Streams()


async def _stay_with_http11(_self: H11Protocol, _request: object) -> None:
    """Take no upgrade to HTTP/2 in the clear: over TLS, ALPN has chosen the protocol."""


# --- telling a refused client why -----------------------------------------------------------------

_asyncios_end_of_handshake = sslproto.SSLProtocol._on_handshake_complete  # noqa: SLF001


def _end_of_handshake(self: Any, error: Any) -> None:
    """Send the fatal alert that CPython drops (gh-98078), and leave the socket open until it can be read."""
    if not isinstance(error, ssl.SSLError):
        _asyncios_end_of_handshake(self, error)
    elif not hasattr(self, "_refused") and self._transport is not None:
        self._refused = True
        self._process_outgoing()
        if self._transport is not None:
            self._transport.write_eof()
        self._loop.call_later(REFUSAL_SECONDS, _asyncios_end_of_handshake, self, error)
