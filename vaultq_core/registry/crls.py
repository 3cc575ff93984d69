"""The newest CRL of each issuer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.vault import crls


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRow:
    """A CRL (DER) with its CRL number; times in POSIX seconds."""

    issuer: str
    number: int
    der: bytes
    this_update: int
    next_update: int


class Crls:
    """One CRL an issuer; a newer one takes its place."""

    def __init__(self) -> None:
        self._rows = Rows(crls, CrlRow, "CRL")

    def put(self, tx: Connection, row: CrlRow) -> None:
        """Store a newer CRL of its issuer. Raises Conflict unless its number is higher (RFC 5280, 5.2.3)."""
        present = self.find(tx, row.issuer)
        if present is not None and present.number >= row.number:
            raise Conflict(f"CRL {row.number} of {row.issuer} is not newer than {present.number}")
        self._rows.remove(tx, crls.c.issuer == row.issuer)
        self._rows.insert(tx, row)

    def find(self, tx: Connection, issuer: str) -> CrlRow | None:
        """Return the newest CRL of `issuer`, or None."""
        return self._rows.find(tx, issuer)

    def every(self, tx: Connection) -> tuple[CrlRow, ...]:
        """Return the newest CRL of every issuer."""
        return self._rows.every(tx, order=crls.c.issuer)
