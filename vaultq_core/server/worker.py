"""One worker process from fork to exit: signals, readiness, the watch on its parent, its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self

from vaultq_core.errors import VaultQError
from vaultq_core.server.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    RunWorker = Callable[["Worker"], Awaitable[None]]
else:
    RunWorker = object

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
RETIRE = signal.SIGHUP  # from the parent to a worker; to the parent it says: reload
UNEXPECTED = 70  # EX_SOFTWARE
READY = b"r"
FAILED = b"e"
NEWS_BYTES = 4096  # written and read whole: PIPE_BUF on Linux


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a worker could not start: what its error said of itself."""

    code: str
    detail: str
    remedy: str

    @classmethod
    def parse(cls, news: bytes) -> Failure:
        """Read what `_News.cannot_start` wrote; a long remedy may lack its end."""
        code, detail, remedy = (news.removeprefix(FAILED).decode(errors="replace") + "\0\0").split("\0")[:3]
        return cls(code, detail, remedy)

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]\n  {self.remedy}"


class LifeLine:
    """A pipe whose writing end only the parent holds: when it dies, however it dies, workers read its end."""

    def __enter__(self) -> Self:
        """Open the pipe."""
        self.reading, self._writing = os.pipe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        """Close both ends."""
        os.close(self.reading)
        os.close(self._writing)

    def keep_reading_end(self) -> None:
        """In a child: let go of the writing end."""
        os.close(self._writing)


@dataclass(slots=True)
class Worker:
    """What a worker's main function gets.

    `ready()` is called once, when it serves. `retire` is set when another worker has taken its place: it
    takes no new connection and finishes what it has. `stop` is set when it is time to drain.
    """

    index: int
    ready: Callable[[], None]
    retire: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


def run_child(run_worker: RunWorker, line: LifeLine, index: int, ready_pipe: int) -> NoReturn:
    """Be worker `index`: never returns. Its exit status is 0, or that of the error it ended with."""
    status = UNEXPECTED
    try:
        line.keep_reading_end()
        _own_signals()
        status = _run(run_worker, line, index, ready_pipe)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # nothing that the parent registered to run at its exit may run here


def _own_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent passes SIGTERM on
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*PASSED_ON, signal.SIGCHLD))


def _run(run_worker: RunWorker, line: LifeLine, index: int, ready_pipe: int) -> int:
    news = _News(ready_pipe)
    try:
        asyncio.run(_main(run_worker, line, index, news))
    except Exception as error:  # noqa: BLE001 - the last frame of the process: it says why and ends
        return _exit_status(_single(error), news)
    return 0


async def _main(run_worker: RunWorker, line: LifeLine, index: int, news: _News) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(index, news.ready)
    loop.add_signal_handler(signal.SIGTERM, worker.stop.set)
    loop.add_signal_handler(RETIRE, worker.retire.set)

    def orphaned() -> None:
        loop.remove_reader(line.reading)
        logger("worker").error("orphaned", worker=index)
        worker.stop.set()

    loop.add_reader(line.reading, orphaned)
    await run_worker(worker)


class _News:
    """What a worker tells its parent once: that it serves, or why it cannot start."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self.is_told = False

    def ready(self) -> None:
        os.write(self._pipe, READY)
        self.is_told = True

    def cannot_start(self, error: VaultQError) -> None:
        # The parent says it once, whatever the number of workers that fail for the same reason.
        text = "\0".join((error.code, str(error), error.remedy)).encode()
        os.write(self._pipe, FAILED + text[: NEWS_BYTES - 1])


def _single(error: Exception) -> Exception:
    seen: Exception = error
    while isinstance(seen, ExceptionGroup):
        seen = seen.exceptions[0]
    return seen


def _exit_status(error: Exception, news: _News) -> int:
    log = logger("worker")
    if isinstance(error, VaultQError) and not news.is_told:
        news.cannot_start(error)
        return error.exit_status
    if isinstance(error, VaultQError):
        log.error("worker-failed", code=error.code, detail=str(error), remedy=error.remedy)
        return error.exit_status
    log.error("worker-failed", exc_info=error)
    return UNEXPECTED
