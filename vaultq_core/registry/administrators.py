"""Administrators, who hold a certificate of the admins CA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.people import administrators


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """An administrator; `created` in POSIX seconds."""

    id: str
    name: str
    status: Literal["active", "revoked"]
    created: int


class Administrators:
    """All administrators. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(administrators, Administrator, "administrator", auth)

    def add(self, tx: Connection, administrator: Administrator) -> None:
        """Add the administrator. Raises Conflict when the id is taken."""
        self._rows.insert(tx, administrator)

    def get(self, tx: Connection, administrator: str) -> Administrator:
        """Return the administrator. Raises NotFound."""
        return self._rows.get(tx, administrator)

    def every(self, tx: Connection) -> tuple[Administrator, ...]:
        """Return all administrators by id; a hospital has a few."""
        return self._rows.every(tx, order=administrators.c.id)

    def revoke(self, tx: Connection, administrator: str) -> Administrator:
        """End an administrator's rights; a second time changes nothing. Raises NotFound."""
        return self._rows.change(tx, self.get(tx, administrator), status="revoked")
