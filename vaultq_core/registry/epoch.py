"""The revocation epoch: one number that changes whenever the certificates in force do. Workers poll it."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from vaultq_core.registry.tables.vault import epoch

_VALUE = select(epoch.c.value)  # asked on every request


class Epoch:
    """A counter that every issue and every revocation raises, in the transaction that does it."""

    def create(self, tx: Connection) -> None:
        """Start at 0. Raises Conflict when there is an epoch already."""
        tx.execute(insert(epoch).values(id=1, value=0))

    def value(self, tx: Connection) -> int:
        """Return the present epoch; it never falls."""
        return int(tx.execute(_VALUE).scalar_one())

    def advance(self, tx: Connection) -> None:
        """Raise the epoch by one."""
        tx.execute(update(epoch).values(value=epoch.c.value + 1))
