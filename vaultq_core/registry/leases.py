"""Leases: which of several processes does a job that one must do. They end by themselves."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, or_, select, update

from vaultq_core.registry.tables.vault import leases


class Leases:
    """A lease by name is held by at most one holder until its end (POSIX seconds)."""

    def take(self, tx: Connection, name: str, holder: str, *, now: int, seconds: int) -> bool:
        """Take or prolong the lease `name` and say whether `holder` has it now.

        Raises Conflict when two holders take a lease that never was, in the same instant.
        """
        free = or_(leases.c.holder == holder, leases.c.until <= now)
        end = now + seconds
        taken = tx.execute(update(leases).where(leases.c.name == name, free).values(holder=holder, until=end))
        if taken.rowcount == 1:
            return True
        if tx.execute(select(leases.c.name).where(leases.c.name == name)).first() is not None:
            return False
        tx.execute(insert(leases).values(name=name, holder=holder, until=end))
        return True

    def seize(self, tx: Connection, name: str, holder: str, *, now: int, seconds: int) -> None:
        """Take the lease `name` from whoever has it, who learns that when it next asks."""
        tx.execute(delete(leases).where(leases.c.name == name))
        tx.execute(insert(leases).values(name=name, holder=holder, until=now + seconds))

    def holds(self, tx: Connection, name: str, holder: str) -> bool:
        """Tell whether nobody else took the lease since `holder` did."""
        found = select(leases.c.name).where(leases.c.name == name, leases.c.holder == holder)
        return tx.execute(found).first() is not None

    def release(self, tx: Connection, name: str, holder: str) -> None:
        """End the lease if `holder` has it."""
        tx.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
