"""The committer: one thread of a worker that gathers units from all others and commits them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from vaultq_core.errors import RegistryUnavailable
from vaultq_core.registry.commit import Committed, Ledger, Unit

QUEUED_UNITS = 1024  # more than all threads of a worker can have waiting
BATCH_UNITS = 256  # one transaction holds up all other processes
GATHER_SECONDS = 0.020  # for how long units that arrive while a commit runs still join it


@dataclass(frozen=True, slots=True)
class _Job:
    unit: Unit
    future: Future[Committed] = field(default_factory=Future)


class Committer:
    """Takes units from any thread. Start it after the fork; close it before the engine is disposed of."""

    def __init__(self, ledger: Ledger, *, queued_units: int = QUEUED_UNITS) -> None:
        self._ledger = ledger
        self._queue: Queue[_Job | None] = Queue(queued_units)
        self._thread = threading.Thread(target=self._run, name="committer")
        self._gate = threading.Lock()
        self._open = False
        self._is_last_batch = False

    def start(self) -> Self:
        """Start the thread. Raises ConfigInvalid when the clock is more than 5 minutes behind the log's."""
        self._ledger.require_clock()
        self._open = True
        self._thread.start()
        return self

    def close(self) -> None:
        """Take no more units, commit those that wait, and end the thread. A second time does nothing."""
        with self._gate:
            was_open, self._open = self._open, False
        if was_open:
            self._queue.put(None)
            self._thread.join()

    def submit(self, unit: Unit) -> Future[Committed]:
        """Queue a unit; its future has an answer only once COMMIT is known.

        Raises RegistryUnavailable when the queue is full or the committer is closed.
        """
        job = _Job(unit)
        with self._gate:
            if not self._open:
                raise RegistryUnavailable("this process is stopping and commits nothing more")
            try:
                self._queue.put_nowait(job)
            except Full:
                raise RegistryUnavailable("too many changes wait to be committed") from None
        return job.future

    def commit(self, unit: Unit) -> Committed:
        """Commit a unit and return its receipts.

        Raises what the unit raised, or RegistryUnavailable; both mean that the unit changed nothing, unless the
        message says that this could not be found out.
        """
        return self.submit(unit).result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._is_last_batch:
            job = self._queue.get()
            if job is None:
                return
            self._commit_with(job)

    def _commit_with(self, first: _Job) -> None:
        jobs: list[_Job] = []

        def units() -> Iterator[Unit]:
            for job in self._gathered(first):
                jobs.append(job)
                yield job.unit

        try:
            outcomes = self._ledger.commit(units())
        except Exception as error:  # noqa: BLE001 - the thread must live on, and every submitter learn of it
            outcomes = [error] * len(jobs)
            if not jobs:
                jobs, outcomes = [first], [error]
        for job, outcome in zip(jobs, outcomes, strict=True):
            _resolve(job.future, outcome)

    def _gathered(self, first: _Job) -> Iterator[_Job]:
        """Yield the first job, then those that wait: from the moment the head is locked, for a short while."""
        yield first
        deadline = time.monotonic() + GATHER_SECONDS
        for _ in range(BATCH_UNITS - 1):
            if time.monotonic() > deadline:
                return
            try:
                job = self._queue.get_nowait()
            except Empty:
                return
            if job is None:
                self._is_last_batch = True
                return
            yield job


def _resolve(future: Future[Committed], outcome: Committed | Exception) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
