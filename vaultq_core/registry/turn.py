"""Whose turn it is to write to an SQLite registry: one thread of one process (docs/adr/0009-writers-take-turns.md).

SQLite itself waits for its write lock in naps of up to 100 ms, which costs two workers much of their
throughput. Threads wait for a lock in memory; one of each process waits for the lock file.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaultq_core.errors import RegistryUnavailable

TURN_SECONDS = 10.0  # a writer holds it for milliseconds
NAP_SECONDS = 0.0005


class WritersTurn:
    """The turn at one database file; `path` is the lock file beside it, which stays empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn and keep it while the block runs. Raises RegistryUnavailable after 10 s."""
        deadline = time.monotonic() + TURN_SECONDS
        if not self._threads.acquire(timeout=TURN_SECONDS):
            raise RegistryUnavailable("another thread keeps the registry's write lock")
        try:
            descriptor = self._open()
            try:
                _lock(descriptor, deadline)
                yield
            finally:
                os.close(descriptor)
        finally:
            self._threads.release()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise RegistryUnavailable(f"the registry's lock file cannot be opened: {error.strerror}") from None


def _lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RegistryUnavailable("another process keeps the registry's write lock") from None
            time.sleep(NAP_SECONDS)
        else:
            return
