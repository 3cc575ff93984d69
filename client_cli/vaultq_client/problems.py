"""A server's problem details (RFC 9457), and a failed connection, as the errors that they are."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from vaultq_core import errors
from vaultq_core.wire.problem import Problem, decode_problem

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_ALERT = re.compile(r"_ALERT_([A-Z_]+)")
_SERVER_ERROR = 500

_ALERT_REMEDIES = {
    "certificate revoked": "Your certificate was revoked. Ask your administrator, who can let you enrol again.",
    "certificate expired": "Your certificate has ended. Ask your administrator for a new password and enrol again.",
    "unknown ca": "This listener takes other certificates than yours. Check the address; each listener has its port.",
    "certificate required": "This listener needs a certificate. Check the address; each listener has its port.",
}
_IMPOSTOR = "Check the address. If it is right, somebody may stand between you and the vault: tell your administrator."


def error_of(status: int, body: bytes) -> errors.VaultQError:
    """Return the error that an answer with `status` >= 400 tells of; CannotConnect when it is no vault's answer."""
    try:
        problem = decode_problem(body)
    except errors.Malformed:
        return errors.CannotConnect(f"the address answered HTTP {status}, which is no vault's answer")
    kind = _BY_CODE.get(problem.code, errors.VaultQError)
    return kind(_message(problem, known=problem.code in _BY_CODE), **_arguments(kind, problem))


def connection_error(error: httpx.HTTPError) -> errors.Unavailable:
    """Return why nothing (more) was heard: CannotConnect, TooSlow, or Unavailable for a connection that was lost."""
    tls = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        reason = one_line(tls.verify_message)
        return errors.CannotConnect(f"the server's certificate does not verify: {reason}", remedy=_IMPOSTOR)
    alert = _ALERT.search(str(tls.reason)) if tls is not None else None
    if alert is not None:
        words = alert[1].lower().replace("_", " ")
        return errors.CannotConnect(f"the vault refused the connection: {words}", remedy=_ALERT_REMEDIES.get(words))
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return errors.CannotConnect(f"the vault cannot be reached: {_why(error)}")
    if isinstance(error, httpx.TimeoutException):
        return errors.TooSlow("the vault did not answer in time")
    return errors.Unavailable(f"the connection to the vault was lost: {_why(error)}")


def one_line(text: str) -> str:
    """Return remote text without anything that could move a terminal's cursor or turn its direction."""
    return _CONTROL.sub(" ", text).strip()


def _message(problem: Problem, *, known: bool) -> str:
    text = one_line(problem.detail if known else f"{problem.title} ({problem.code})")
    return f"{text} [request {one_line(problem.request_id)}]" if problem.status >= _SERVER_ERROR else text


def _arguments(kind: type[errors.VaultQError], problem: Problem) -> dict[str, Any]:
    arguments: dict[str, Any] = {"remedy": one_line(problem.remedy) or None}
    if issubclass(kind, errors.TooManyRequests | errors.Unavailable) and problem.retry_after is not None:
        arguments["retry_after"] = problem.retry_after
    return arguments


def _why(error: BaseException) -> str:
    deepest = list(_causes(error))[-1]
    text = deepest.strerror if isinstance(deepest, OSError) and deepest.strerror else str(deepest)
    return one_line(text) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__


def _classes(base: type[errors.VaultQError]) -> Iterator[type[errors.VaultQError]]:
    yield base
    for each in base.__subclasses__():
        yield from _classes(each)


_BY_CODE = {each.code: each for each in _classes(errors.VaultQError) if each.__module__ == errors.__name__}
