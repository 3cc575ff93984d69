"""One parent, several workers: it forks them, replaces the killed and, at a reload, all; and gives up in time.

Fork comes first: nothing may have started a thread, opened a database or loaded a keystore module in
the parent, since a child inherits half of it. All of that belongs into `run_worker`.

A passphrase or PIN is tried once: the first worker starts alone, and whoever is refused is not started again.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultq_core.errors import Unavailable, VaultQError, WrongPassphrase
from vaultq_core.server.logs import logger
from vaultq_core.server.worker import NEWS_BYTES, PASSED_ON, READY, RETIRE, Failure, LifeLine, RunWorker, run_child

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN_UP = 70  # exit status after a crash loop (EX_SOFTWARE)
RESPAWNS = 5  # this many within RESPAWN_SECONDS are a crash loop
RESPAWN_SECONDS = 60.0
RETRY_SECONDS = 1.0  # until a worker is started again that found something away, such as a token
MARGIN_SECONDS = 10.0  # over drain_seconds, before a worker is killed
REFUSED = WrongPassphrase.exit_status
AWAY = Unavailable.exit_status
_WATCHED = (*PASSED_ON, signal.SIGCHLD)


@dataclass(frozen=True, slots=True, eq=False)
class Crew:
    """What one reading of the configuration makes: the workers' main function, their number, and their drain."""

    run_worker: RunWorker
    workers: int
    drain_seconds: float


def supervise(crew: Crew, *, renew: Callable[[], Crew], ready: Callable[[], None]) -> int:
    """Run a crew until told to stop; return the exit status for this process.

    SIGTERM and SIGINT let requests finish for `drain_seconds`; a second one ends everything at once.
    SIGHUP asks `renew` for a new crew, whose workers take the others' places one by one; what it raises, or a
    worker of it that cannot start, is logged, and the present workers go on. `ready` is called once, when all
    workers serve. A worker that fails before any was ever ready ends the whole with its own exit status; later ones
    are replaced, until RESPAWNS within RESPAWN_SECONDS, which returns GIVEN_UP; where something needed does not
    answer, it is tried every RETRY_SECONDS instead. After WrongPassphrase none is replaced until a reload.
    """
    with LifeLine() as line:
        return _Supervisor(crew, line, renew, ready).run()


@dataclass(slots=True)
class _Child:
    index: int
    crew: Crew
    ready_pipe: int
    is_ready: bool = False
    is_retired: bool = False
    failure: Failure | None = None


class _Supervisor:
    def __init__(self, crew: Crew, line: LifeLine, renew: Callable[[], Crew], ready: Callable[[], None]) -> None:
        self._crew = crew
        self._next: Crew | None = None
        self._line = line
        self._renew = renew
        self._tell_ready: Callable[[], None] | None = ready
        self._children: dict[int, _Child] = {}
        self._waiting: list[tuple[float, Crew, int]] = []  # who is started again, and when
        self._respawns: list[float] = []
        self._any_ready = False
        self._is_reload_wanted = False
        self._is_secret_refused = False
        self._is_explained = False
        self._status = 0
        self._kill_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._log = logger("supervisor")

    def run(self) -> int:
        woken, wake = socket.socketpair()
        woken.setblocking(False)  # noqa: FBT003 - the socket API
        wake.setblocking(False)  # noqa: FBT003
        previous = {number: signal.signal(number, lambda *_: None) for number in _WATCHED}
        previous_wake = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            self._spawn(self._crew, 0)
            while self._children or self._waiting:
                self._turn(woken)
        finally:
            signal.set_wakeup_fd(previous_wake)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.close()
            woken.close()
            wake.close()
        return self._status

    def _turn(self, woken: socket.socket) -> None:
        for key, _ in self._selector.select(self._patience_left()):
            if key.fileobj is woken:
                for number in woken.recv(4096):
                    self._take_signal(number)
            else:
                self._hear(key.data)
        self._reap()
        if self._kill_at is None:
            self._go_on()
        elif time.monotonic() >= self._kill_at:
            self._log.error("killed", reason="workers outlived the drain", workers=len(self._children))
            self._kill_now()

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._is_reload_wanted = True
        elif number in PASSED_ON and self._kill_at is None:
            self._log.info("stopping", signal=signal.Signals(number).name)
            self._stop()
        elif number in PASSED_ON:
            self._kill_now()

    def _go_on(self) -> None:
        """Start and retire whom it is time to start and retire."""
        due = [each for each in self._waiting if each[0] <= time.monotonic()]
        self._waiting = [each for each in self._waiting if each not in due]
        for _, crew, index in due:
            self._spawn(crew, index)
        if self._next is not None:
            self._roll(self._next)
        elif self._tell_ready is not None and sum(child.is_ready for child in self._active()) == self._crew.workers:
            tell, self._tell_ready = self._tell_ready, None
            tell()
        if self._is_reload_wanted and self._next is None and self._tell_ready is None:
            self._is_reload_wanted = False
            self._begin_reload()

    # --- reload -----------------------------------------------------------------------------------

    def _begin_reload(self) -> None:
        self._log.info("reloading")
        try:
            self._next = self._renew()
        except VaultQError as error:
            self._refuse_reload(Failure(error.code, str(error), error.remedy))
        except Exception as error:  # noqa: BLE001 - whatever a reload meets, the workers serve on
            self._log.error("reload-refused", exc_info=error)
        else:
            self._spawn(self._next, 0)

    def _roll(self, crew: Crew) -> None:
        new = [child for child in self._active() if child.crew is crew]
        if not all(child.is_ready for child in new):
            return
        old = {pid: child for pid, child in self._children.items() if child.crew is not crew and not child.is_retired}
        if len(new) < crew.workers:
            for pid in list(old)[:1]:
                self._retire(pid)
            self._spawn(crew, len(new))
            return
        for pid in old:
            self._retire(pid)
        self._crew, self._next = crew, None
        self._is_secret_refused, self._waiting = False, []
        self._log.info("reloaded", workers=crew.workers)

    def _retire(self, pid: int) -> None:
        child = self._children[pid]
        child.is_retired = True
        os.kill(pid, RETIRE if child.is_ready else signal.SIGTERM)

    def _refuse_reload(self, failure: Failure) -> None:
        self._next = None
        self._log.error("reload-refused", code=failure.code, detail=failure.detail, remedy=failure.remedy)

    # --- ends -------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._waiting = []
        if self._kill_at is None:
            longest = max((child.crew.drain_seconds for child in self._children.values()), default=0.0)
            self._kill_at = time.monotonic() + longest + MARGIN_SECONDS
            self._send_all(signal.SIGTERM)

    def _kill_now(self) -> None:
        self._status = self._status or 1
        self._kill_at = float("inf")
        self._send_all(signal.SIGKILL)

    def _patience_left(self) -> float | None:
        times = [when for when, *_ in self._waiting] + ([] if self._kill_at is None else [self._kill_at])
        next_time = min(times, default=float("inf"))
        return None if next_time == float("inf") else max(0.0, next_time - time.monotonic())

    def _send_all(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)  # not reaped yet, so the number is still this child's

    # --- children ---------------------------------------------------------------------------------

    def _active(self) -> list[_Child]:
        return [child for child in self._children.values() if not child.is_retired]

    def _spawn(self, crew: Crew, index: int) -> None:
        reading, writing = os.pipe()
        # Held back until the child has its own handlers: a SIGTERM must not be lost in between.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            signal.set_wakeup_fd(-1)
            run_child(crew.run_worker, self._line, index, writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        os.close(writing)
        child = self._children[pid] = _Child(index, crew, reading)
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _hear(self, child: _Child) -> None:
        """Take a child's one piece of news: that it serves, why it cannot, or nothing when it was killed."""
        self._selector.unregister(child.ready_pipe)
        news = os.read(child.ready_pipe, NEWS_BYTES)
        if news and news != READY:
            child.failure = Failure.parse(news)
        child.is_ready = news == READY
        if child.is_ready and not self._any_ready:
            self._any_ready = True
            for index in range(1, self._crew.workers if self._kill_at is None else 1):
                self._spawn(self._crew, index)

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[pid]
                if child.ready_pipe in self._selector.get_map():
                    self._hear(child)
                os.close(child.ready_pipe)
                self._after_death(child, os.waitstatus_to_exitcode(status))

    def _after_death(self, child: _Child, status: int) -> None:
        if self._kill_at is not None:
            self._status = self._status or (0 if child.is_retired else abs(status))
        elif child.is_retired:
            self._log.info("worker-retired", worker=child.index, exit_status=status)
        elif child.crew is self._next and not child.is_ready:
            self._refuse_reload(child.failure or Failure("error", f"a new worker ended with {status}", "See above."))
        elif not self._any_ready or (self._tell_ready is not None and status == REFUSED):
            self._explain(child)
            self._status = status if status > 0 else 1
            self._stop()
        elif self._is_secret_refused or status == REFUSED:
            self._do_not_replace(child, status)
        elif status == AWAY and not child.is_ready:
            self._tell_failure(child)
            self._waiting.append((time.monotonic() + RETRY_SECONDS, child.crew, child.index))
        elif self._is_crash_loop():
            self._log.error("crash-loop", detail=f"{RESPAWNS} workers died within {RESPAWN_SECONDS:g} s; giving up")
            self._status = GIVEN_UP
            self._stop()
        else:
            self._tell_failure(child)
            self._log.warning("worker-replaced", worker=child.index, exit_status=status)
            self._spawn(child.crew, child.index)

    def _do_not_replace(self, child: _Child, status: int) -> None:
        self._is_secret_refused, self._waiting = True, []
        self._tell_failure(child)
        self._log.error(
            "worker-not-replaced",
            worker=child.index,
            exit_status=status,
            workers=len(self._active()),
            reason="the keystore refused its passphrase or PIN, which is not tried again",
            remedy="Correct the passphrase or PIN, then reload (SIGHUP).",
        )
        if not self._active():
            self._status = REFUSED
            self._stop()

    def _explain(self, child: _Child) -> None:
        """Say for people, once, why nothing starts."""
        if child.failure is not None and not self._is_explained:
            self._is_explained = True
            sys.stderr.write(f"vaultq-server: {child.failure}\n")

    def _tell_failure(self, child: _Child) -> None:
        if child.failure is not None:
            failure = child.failure
            self._log.error(
                "worker-cannot-start",
                worker=child.index,
                code=failure.code,
                detail=failure.detail,
                remedy=failure.remedy,
            )

    def _is_crash_loop(self) -> bool:
        now = time.monotonic()
        self._respawns = [one for one in self._respawns if one > now - RESPAWN_SECONDS] + [now]
        return len(self._respawns) > RESPAWNS
