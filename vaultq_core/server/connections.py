"""The open connections of one listener in one worker: how many, whose, and how to end them at once."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One open connection: the SHA-256 (hex) of its verified client certificate, and how to end it."""

    certificate: str | None
    abort: Callable[[], None]
    is_closing: Callable[[], bool]


class Connections:
    """Open connections after their handshake. Belongs to one event loop."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    @contextmanager
    def hold(self, connection: Connection) -> Iterator[None]:
        """Count `connection` as open for as long as the block runs."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)

    def certificates(self) -> set[str]:
        """Return the client certificates (SHA-256, hex) of all open connections."""
        return {one.certificate for one in self._open if one.certificate is not None}

    def abort_connections(self, ends: Callable[[str], bool]) -> int:
        """End every connection whose client certificate (SHA-256, hex) `ends` names; return how many.

        Its requests are cancelled, and nothing more is read from it or sent to it.
        """
        return self._abort([one for one in self._open if one.certificate is not None and ends(one.certificate)])

    def abort_all(self) -> int:
        """End every connection; return how many."""
        return self._abort(list(self._open))

    @staticmethod
    def _abort(connections: list[Connection]) -> int:
        for connection in connections:
            connection.abort()
        return len(connections)


class CappedSocket(socket.socket):
    """A listening socket that closes what comes over its cap, before a handshake costs anything."""

    def __init__(self, listening: socket.socket, cap: int) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._cap = cap
        self._accepted = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Accept one connection. Raises ConnectionAbortedError, which event loops expect, over the cap."""
        accepted, address = super().accept()
        if self._accepted >= self._cap:
            accepted.close()
            raise ConnectionAbortedError
        self._accepted += 1
        return _Counted(accepted, self._release), address

    def _release(self) -> None:
        self._accepted -= 1


class _Counted(socket.socket):
    """An accepted socket that says once when it is closed."""

    def __init__(self, accepted: socket.socket, release: Callable[[], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._release: Callable[[], None] | None = release

    def close(self) -> None:
        """Close the socket and give its place back."""
        super().close()
        release, self._release = self._release, None
        if release is not None:
            release()
