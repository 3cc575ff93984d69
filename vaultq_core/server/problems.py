"""Every error of every listener as problem details (docs/spec/http.md; RFC 9457).

Errors of `vaultq_core.errors` keep their code and advice. The framework's own (no such route, wrong
method, body too large) get codes of the same kind. Anything else is `internal-error`: its traceback
goes to the log beside the request's id, nothing of it to the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from vaultq_core import errors
from vaultq_core.server.logs import logger
from vaultq_core.wire.problem import MEDIA_TYPE, TYPE_PREFIX, Problem, encode_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ExceptionHandlersMap

# A class stands for its subclasses, unless they have a line of their own.
STATUS: Mapping[type[errors.VaultQError], HTTPStatus] = {
    errors.Malformed: HTTPStatus.BAD_REQUEST,
    errors.LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotVerified: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RecordDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotPermitted: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.KeystoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StorageError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.VaultQError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# What these say is about the server's insides: the client gets code and remedy, the log the message.
_KEPT_INSIDE = (errors.KeystoreError, errors.StorageError)


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    title: str
    remedy: str


_FRAMEWORK: Mapping[int, _Refusal] = {
    400: _Refusal("malformed", "The request cannot be read.", errors.Malformed.advice),
    401: _Refusal("not-authenticated", "Nobody is known to be asking.", errors.NotAuthenticated.advice),
    403: _Refusal("not-permitted", "This is not allowed.", errors.NotPermitted.advice),
    404: _Refusal("no-such-route", "This listener has no such address.", "Check address, port and version."),
    405: _Refusal("method-not-allowed", "The address does not know this method.", "See docs/spec/http.md."),
    413: _Refusal("limit-exceeded", "The body is larger than a named limit allows.", errors.LimitExceeded.advice),
    415: _Refusal("unsupported-media-type", "The body is of the wrong media type.", "See docs/spec/http.md."),
    429: _Refusal("too-many-requests", "A rate limit is used up.", errors.TooManyRequests.advice),
}
_OTHER = _Refusal("malformed", "The request was refused.", errors.Malformed.advice)
_INTERNAL = "Something failed inside the server; nothing half-done counts."
_INTERNAL_REMEDY = "Try again; if it happens again, give the request id to the operator, whose log explains it."


def problem_of(error: Exception, request_id: str) -> Problem:
    """Return what a client may know of `error`."""
    if isinstance(error, errors.VaultQError):
        return _ours(error, request_id)
    if isinstance(error, msgspec.ValidationError):
        return _ours(errors.Malformed(f"the body is not what this address takes: {error}"), request_id)
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _frameworks(error, request_id)
    return _internal(request_id)


def status_of(error: errors.VaultQError) -> HTTPStatus:
    """Return the status of the nearest class in STATUS."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the header fields that belong to the problem, lower case."""
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    return headers


def exception_handlers() -> ExceptionHandlersMap:
    """Return what every Litestar app takes as `exception_handlers`."""
    return {Exception: _answer, HTTPException: _answer, errors.VaultQError: _answer}


def log_problem(error: Exception, problem: Problem) -> None:
    """Log what the client isn't told: the traceback of an unexpected error, or one about the insides."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, errors.Unavailable):
        logger("problems").error("failed", request_id=problem.request_id, code=problem.code, exc_info=error)


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = problem_of(error, request.scope["state"].get("request_id", ""))
    log_problem(error, problem)
    headers = problem_headers(problem)
    if isinstance(error, HTTPException) and "allow" in (error.headers or {}):
        headers["allow"] = (error.headers or {})["allow"]
    media_type = headers.pop("content-type")
    return Response(encode_problem(problem), status_code=problem.status, headers=headers, media_type=media_type)


def _ours(error: errors.VaultQError, request_id: str) -> Problem:
    detail = "Only the operator is told the reason." if isinstance(error, _KEPT_INSIDE) else str(error)
    return Problem(
        type=TYPE_PREFIX + error.code,
        title=_title(type(error)),
        status=status_of(error),
        detail=detail[:2048],
        code=error.code,
        remedy=error.remedy,
        request_id=request_id,
        retry_after=getattr(error, "retry_after", None),
    )


def _title(kind: type[errors.VaultQError]) -> str:
    return " ".join((kind.__doc__ or kind.__name__).split("\n\n")[0].split())


def _frameworks(error: HTTPException, request_id: str) -> Problem:
    refusal = _FRAMEWORK.get(error.status_code, _OTHER)
    return Problem(
        type=TYPE_PREFIX + refusal.code,
        title=refusal.title,
        status=error.status_code,
        detail=HTTPStatus(error.status_code).phrase,
        code=refusal.code,
        remedy=refusal.remedy,
        request_id=request_id,
    )


def _internal(request_id: str) -> Problem:
    return Problem(
        type=TYPE_PREFIX + "internal-error",
        title=_INTERNAL,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="An unexpected error.",
        code="internal-error",
        remedy=_INTERNAL_REMEDY,
        request_id=request_id,
    )
