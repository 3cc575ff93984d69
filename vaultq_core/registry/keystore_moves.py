"""Moves of all keys from one keystore to another: written down before the first key is made in the target.

By this row a move that was interrupted is told from a target that holds somebody else's keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.vault import keystore_moves as moves


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoreMove:
    """A move; `source` and `target` as from `workers.keystore_name`, times in POSIX seconds."""

    id: int
    source: str
    target: str
    begun: int
    finished: int | None = None


class KeystoreMoves:
    """All moves there ever were, oldest first; at most one is unfinished."""

    def __init__(self) -> None:
        self._rows = Rows(moves, KeystoreMove, "move of keys")

    def begin(self, tx: Connection, source: str, target: str, now: int) -> KeystoreMove:
        """Write down a move, or return the unfinished one between the two. Raises Conflict while another one runs."""
        running = self.running(tx)
        if running is not None and (running.source, running.target) == (source, target):
            return running
        if running is not None:
            raise Conflict(f"a move of keys from {running.source} to {running.target} is not finished")
        newest = self._rows.first(tx, order=moves.c.id.desc())
        move = KeystoreMove(id=newest.id + 1 if newest else 1, source=source, target=target, begun=now)
        self._rows.insert(tx, move)
        return move

    def running(self, tx: Connection) -> KeystoreMove | None:
        """Return the move that is not finished, or None."""
        return self._rows.first(tx, moves.c.finished.is_(None), order=moves.c.id)

    def finish(self, tx: Connection, move: KeystoreMove, now: int) -> KeystoreMove:
        """Mark the move as finished. Raises Conflict if it is no more what was read."""
        return self._rows.change(tx, move, finished=now)

    def every(self, tx: Connection) -> tuple[KeystoreMove, ...]:
        """Return all moves, oldest first."""
        return self._rows.every(tx, order=moves.c.id)
