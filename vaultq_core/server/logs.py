"""One JSON line an event, to standard error. What may stand in a line is listed here, by name.

Redaction by construction: a field that isn't in FIELDS, or whose value isn't a short string, a number
or a truth value, is withheld. So no body, header, query string or struct can end up in a log, and a
foreign exception is named by its type and place, never by its message, which may quote data.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

import structlog

from vaultq_core.errors import VaultQError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

FIELDS = frozenset(
    (
        "address",
        "admin",
        "age_seconds",
        "attempts",
        "bytes",
        "certificates",
        "clients",
        "code",
        "connections",
        "count",
        "detail",
        "doctor",
        "duration_ms",
        "epoch",
        "exception",
        "exit_status",
        "expires",
        "job",
        "limit",
        "line",
        "listener",
        "logger",
        "method",
        "name",
        "path",
        "patient",
        "pid",
        "plugin",
        "reason",
        "record",
        "remedy",
        "request_id",
        "seconds",
        "serial",
        "signal",
        "size",
        "status",
        "step",
        "version",
        "worker",
        "workers",
    )
)
_MADE_HERE = frozenset({"event", "level", "time", "traceback"})
_TEXT_MAX = 512
_FRAMES_MAX = 40
LEVELS = ("debug", "info", "warning", "error")


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process, foreign libraries' warnings included, to `stream` as JSON.

    `level` is one of LEVELS; `stream` is standard error unless given.
    """
    target = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[
            _add_traceback,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _withhold,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(target),  # a line and its end in one write: workers share the file
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING, force=True)


def logger(name: str) -> FilteringBoundLogger:
    """Return the logger of one part of the server, such as `edge` or `supervisor`."""
    bound: FilteringBoundLogger = structlog.get_logger().bind(logger=name)
    return bound


class _Foreign(logging.Handler):
    """Other libraries' records: their text is kept short, their exceptions lose the message."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger().bind(logger=record.name)
        log.log(record.levelno, "library", detail=record.getMessage()[:_TEXT_MAX], exc_info=record.exc_info)


def _withhold(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: _allowed(name, value) for name, value in event.items()}


def _allowed(name: str, value: object) -> object:
    if name in _MADE_HERE:
        return value
    if name not in FIELDS or not (value is None or isinstance(value, str | int | float)):
        return f"<withheld: {type(value).__name__}>"
    return value[:_TEXT_MAX] if isinstance(value, str) else value


def _add_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
        event["traceback"] = list(_frames(error))
    return event


def describe(error: BaseException) -> str:
    """Return the type's name, with the message only for our own errors."""
    return f"{type(error).__name__}: {error}" if isinstance(error, VaultQError) else type(error).__name__


def _frames(error: BaseException) -> Iterator[str]:
    seen: BaseException | None = error
    for _ in range(_FRAMES_MAX):
        if seen is None:
            return
        yield describe(seen)
        for frame in traceback.extract_tb(seen.__traceback__)[-_FRAMES_MAX:]:
            yield f"{frame.filename}:{frame.lineno} in {frame.name}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
