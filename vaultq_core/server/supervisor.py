"""One parent, several workers: it forks them, passes signals on, replaces the killed, and gives up in time.

Fork comes first: nothing may have started a thread, opened a database or loaded a keystore module in
the parent, since a child inherits half of it. All of that belongs into `run_worker`.
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

from vaultq_core.server.logs import logger
from vaultq_core.server.worker import FAILED, NEWS_BYTES, PASSED_ON, READY, LifeLine, RunWorker, run_child

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN_UP = 70  # exit status after a crash loop (EX_SOFTWARE)
RESPAWNS = 5  # this many within RESPAWN_SECONDS are a crash loop
RESPAWN_SECONDS = 60.0
MARGIN_SECONDS = 10.0  # over drain_seconds, before a worker is killed
_WATCHED = (*PASSED_ON, signal.SIGCHLD)


def supervise(run_worker: RunWorker, *, workers: int, drain_seconds: float, ready: Callable[[], None]) -> int:
    """Run `workers` processes until told to stop; return the exit status for this process.

    SIGTERM and SIGINT let requests finish for `drain_seconds`; a second one ends everything at once.
    SIGHUP reaches every worker as a reload. `ready` is called once, when all workers serve. A worker
    that fails before any was ever ready ends the whole with its own exit status; later ones are
    replaced, until RESPAWNS within RESPAWN_SECONDS, which returns GIVEN_UP.
    """
    with LifeLine() as line:
        supervisor = _Supervisor(run_worker, line, workers, drain_seconds, ready)
        return supervisor.run()


@dataclass(slots=True)
class _Child:
    index: int
    ready_pipe: int
    is_ready: bool = False


class _Supervisor:
    def __init__(
        self, run_worker: RunWorker, line: LifeLine, workers: int, drain_seconds: float, ready: Callable[[], None]
    ) -> None:
        self._run_worker = run_worker
        self._line = line
        self._workers = workers
        self._patience = drain_seconds + MARGIN_SECONDS
        self._tell_ready: Callable[[], None] | None = ready
        self._children: dict[int, _Child] = {}
        self._respawns: list[float] = []
        self._any_ready = False
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
            for index in range(self._workers):
                self._spawn(index)
            while self._children:
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
                self._note_ready(key.data)
        self._reap()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._log.error("killed", reason="workers outlived the drain", workers=len(self._children))
            self._kill_now()

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._send_all(signal.SIGHUP)
        elif number in PASSED_ON and self._kill_at is None:
            self._log.info("stopping", signal=signal.Signals(number).name)
            self._stop()
        elif number in PASSED_ON:
            self._kill_now()

    def _stop(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._patience
            self._send_all(signal.SIGTERM)

    def _kill_now(self) -> None:
        self._status = self._status or 1
        self._kill_at = float("inf")
        self._send_all(signal.SIGKILL)

    def _patience_left(self) -> float | None:
        if self._kill_at is None or self._kill_at == float("inf"):
            return None
        return max(0.0, self._kill_at - time.monotonic())

    def _send_all(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)  # not reaped yet, so the number is still this child's

    def _spawn(self, index: int) -> None:
        reading, writing = os.pipe()
        # Held back until the child has its own handlers: a SIGTERM must not be lost in between.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            signal.set_wakeup_fd(-1)
            run_child(self._run_worker, self._line, index, writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        os.close(writing)
        child = self._children[pid] = _Child(index, reading)
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _note_ready(self, child: _Child) -> None:
        self._selector.unregister(child.ready_pipe)
        news = os.read(child.ready_pipe, NEWS_BYTES)
        if news != READY:  # it ended instead; _reap sees how, and the first one that can say why does
            if news and not self._is_explained:
                self._is_explained = True
                sys.stderr.write(f"vaultq-server: {news.removeprefix(FAILED).decode(errors='replace')}\n")
            return
        child.is_ready = self._any_ready = True
        everyone = len(self._children) == self._workers and all(one.is_ready for one in self._children.values())
        if everyone and self._tell_ready is not None:
            tell, self._tell_ready = self._tell_ready, None
            tell()

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[pid]
                if child.ready_pipe in self._selector.get_map():
                    self._note_ready(child)
                os.close(child.ready_pipe)
                self._after_death(child, os.waitstatus_to_exitcode(status))

    def _after_death(self, child: _Child, status: int) -> None:
        if self._kill_at is not None:
            self._status = self._status or abs(status)
        elif not self._any_ready:
            self._status = status if status > 0 else 1
            self._stop()
        elif self._is_crash_loop():
            self._log.error("crash-loop", detail=f"{RESPAWNS} workers died within {RESPAWN_SECONDS:g} s; giving up")
            self._status = GIVEN_UP
            self._stop()
        else:
            self._log.warning("worker-replaced", worker=child.index, exit_status=status)
            self._spawn(child.index)

    def _is_crash_loop(self) -> bool:
        now = time.monotonic()
        self._respawns = [one for one in self._respawns if one > now - RESPAWN_SECONDS] + [now]
        return len(self._respawns) > RESPAWNS
