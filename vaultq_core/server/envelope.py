"""What every answer of every listener carries: a request id, security headers, one log line.

The innermost wrapper around each Litestar app. It also refuses what two servers could read in two ways
(RFC 9112, 6.1: Content-Length beside Transfer-Encoding), and answers for an app that failed without one.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from vaultq_core.errors import Malformed, VaultQError
from vaultq_core.server.logs import logger
from vaultq_core.server.problems import log_problem, problem_headers, problem_of
from vaultq_core.wire.problem import encode_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vaultq_core.server.asgi import App, Message, Receive, Scope, Send

REQUEST_ID_BYTES = 12

# A route that needs another value sets its own; the dashboard does, for the policy.
SECURITY_HEADERS = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


class Envelope:
    """`app`, with ids, headers and a log line; `listener` names it in the log."""

    def __init__(self, app: App, listener: str) -> None:
        self._app = app
        self._log = logger("http").bind(listener=listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the id stands in `scope["state"]["request_id"]`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = os.urandom(REQUEST_ID_BYTES).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        before = time.monotonic()
        try:
            await self._answer(answer, scope, receive, request_id)
        finally:
            self._log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                duration_ms=round((time.monotonic() - before) * 1000, 1),
            )

    async def _answer(self, answer: _Answer, scope: Scope, receive: Receive, request_id: str) -> None:
        try:
            _require_one_reading(scope)
            await self._app(scope, receive, answer.send)
        except Exception as error:
            problem = problem_of(_innermost(error), request_id)
            if not isinstance(error, ConnectionResetError):
                log_problem(error, problem)
            if answer.status is not None:
                raise
            await answer.send_whole(problem.status, problem_headers(problem), encode_problem(problem))


class _Answer:
    """The sending side: adds the headers, and knows whether and with what status the answer began."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": _complete(message.get("headers", ()), self._request_id)}
        await self._send(message)

    async def send_whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        fields.append((b"content-length", b"%d" % len(body)))
        await self.send({"type": "http.response.start", "status": status, "headers": fields})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _complete(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    given = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    names = {name for name, _ in given}
    added = [(name, value) for name, value in SECURITY_HEADERS if name not in names]
    return [*given, *added, (b"x-request-id", request_id.encode())]


def _require_one_reading(scope: Scope) -> None:
    headers = [(name.lower(), value.lower()) for name, value in scope["headers"]]
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names and b"content-length" in names:
        raise Malformed("the request carries Content-Length and Transfer-Encoding", remedy="Send one of the two.")
    if any(name == b"upgrade" and b"h2c" in value for name, value in headers):
        raise Malformed("HTTP/2 is chosen by ALPN here, not by Upgrade", remedy="Leave the Upgrade field out.")


def _innermost(error: Exception) -> Exception:
    """Return the one VaultQError inside the groups that streaming answers raise, or the error itself."""
    seen: BaseException = error
    while isinstance(seen, ExceptionGroup) and len(seen.exceptions) == 1:
        seen = seen.exceptions[0]
    return seen if isinstance(seen, VaultQError) else error
