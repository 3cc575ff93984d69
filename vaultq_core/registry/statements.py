"""Vault statements, by version; the newest is the one in force."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.vault import vault_statements


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """A signed vault statement: its bytes, its end (POSIX seconds) and the KEM key it names."""

    version: int
    statement: bytes
    not_after: int
    kem_key: str


class VaultStatements:
    """Every statement that this vault ever signed."""

    def __init__(self) -> None:
        self._rows = Rows(vault_statements, StatementRow, "vault statement")

    def put(self, tx: Connection, row: StatementRow) -> None:
        """Append the next version. Raises Conflict unless it follows the newest; the first is 1."""
        newest = self._newest(tx)
        if row.version != (newest.version if newest else 0) + 1:
            raise Conflict(f"version {row.version} does not follow the newest vault statement")
        self._rows.insert(tx, row)

    def newest(self, tx: Connection) -> StatementRow:
        """Return the newest statement. Raises NotFound when there is none."""
        row = self._newest(tx)
        if row is None:
            raise NotFound("the vault has no statement yet")
        return row

    def _newest(self, tx: Connection) -> StatementRow | None:
        return self._rows.first(tx, order=vault_statements.c.version.desc())
