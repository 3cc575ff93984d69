"""A gate to a module: many calls at once, or one restart alone.

C_Finalize while another thread is inside the module ends the process, so a restart waits until nobody is inside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vaultq_core.errors import KeystoreUnavailable


class Gate:
    """Guards one module of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False

    @contextmanager
    def inside(self, seconds: float) -> Iterator[None]:
        """Be inside, with others. Raises KeystoreUnavailable after `seconds` of waiting for a restart."""
        with self._changed:
            self._wait(lambda: not self._is_shut, seconds)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, seconds: float) -> Iterator[None]:
        """Be inside alone. Raises KeystoreUnavailable when somebody stays inside for `seconds`."""
        with self._changed:
            self._wait(lambda: not self._is_shut, seconds)
            self._is_shut = True
            try:
                self._wait(lambda: not self._inside, seconds)
            except KeystoreUnavailable:
                self._open()
                raise
        try:
            yield
        finally:
            with self._changed:
                self._open()

    def _open(self) -> None:
        self._is_shut = False
        self._changed.notify_all()

    def _wait(self, until: Callable[[], bool], seconds: float) -> None:
        if not self._changed.wait_for(until, seconds):
            raise KeystoreUnavailable(f"a call to the PKCS#11 module has not come back for {seconds:g} s")
