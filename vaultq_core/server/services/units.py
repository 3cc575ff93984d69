"""Units of the commit that are small enough to share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.registry.commit import Turn
from vaultq_core.wire.entries import LogEntry


@dataclass(frozen=True, slots=True)
class LogOnly:
    """Something happened that changes no row but the log."""

    entry: LogEntry
    keeps_receipt: bool = False

    def apply(self, _tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        """Return the entry."""
        return (self.entry,)
