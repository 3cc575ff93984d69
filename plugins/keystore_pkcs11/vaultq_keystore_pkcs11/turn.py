"""Whose turn it is to log in, or to make and destroy keys: one thread of one process of this machine.

Tokens have no transactions, and SoftHSM rewrites a token's file at each login: a process that starts in that moment
does not see the token. Every process that uses a module has its file; a lock on that needs no other file, and no right
but to read. Several machines on one network HSM are not covered; there a duplicate label is noticed.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vaultq_core.errors import KeystoreUnavailable

_NAP_SECONDS: Final = 0.002


class Turn:
    """The turn at one module; a thread that has it may take it again."""

    def __init__(self, module: str, seconds: float) -> None:
        self._module = module
        self._seconds = seconds
        self._threads = threading.RLock()
        self._depth = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn and keep it while the block runs. Raises KeystoreUnavailable after `seconds`."""
        deadline = time.monotonic() + self._seconds
        if not self._threads.acquire(timeout=self._seconds):
            raise KeystoreUnavailable("another thread is changing keys of the token for too long")
        try:
            if self._depth:
                yield
            else:
                with self._locked(deadline):
                    yield
        finally:
            self._threads.release()

    @contextmanager
    def _locked(self, deadline: float) -> Iterator[None]:
        try:
            descriptor = os.open(self._module, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KeystoreUnavailable(f"the PKCS#11 module cannot be opened: {error.strerror}") from None
        try:
            _lock(descriptor, deadline)
            self._depth = 1
            yield
        finally:
            self._depth = 0
            os.close(descriptor)


def _lock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise KeystoreUnavailable("another process keeps the token's keys locked for too long") from None
            time.sleep(_NAP_SECONDS)
        else:
            return
