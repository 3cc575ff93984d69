"""The vault's one row: its name, its two roots, its recovery key; and its issuing CAs, present and former."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import Conflict
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows, Rows
from vaultq_core.registry.tables import vault as tables
from vaultq_core.wire.entries import ReplaceableCa

CaRole = Literal["pq", "doctors", "admins", "servers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRow:
    """The vault; roots are DER certificates, `recovery_public_key` is what patient keys are sealed to."""

    vault: str
    created: int
    log_origin: str
    recovery_public_key: bytes
    hospital_root: bytes
    pq_root: bytes
    id: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingCa:
    """The certificate (DER) of the issuing CA of a role."""

    role: CaRole
    der: bytes
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerCa:
    """An issuing CA that was replaced; `closed` is when it signed its last revocation list, or None."""

    sha256: str
    role: ReplaceableCa
    der: bytes
    created: int
    replaced: int
    closed: int | None = None


def peek_vault_id(tx: Connection) -> str | None:
    """Return the vault's id before its row key is open, not authenticated; None when there is no vault yet."""
    found: str | None = tx.execute(select(tables.vault.c.vault)).scalar_one_or_none()
    return found


class Vault:
    """The registry's one vault."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(tables.vault, VaultRow, "vault", auth)
        self._cas = Rows(tables.issuing_cas, IssuingCa, "issuing CA")
        self._former = Rows(tables.former_cas, FormerCa, "former issuing CA")

    def create(self, tx: Connection, row: VaultRow) -> None:
        """Insert the vault. Raises Conflict when there is a vault already."""
        self._rows.insert(tx, row)

    def get(self, tx: Connection) -> VaultRow:
        """Return the vault. Raises NotFound before `init`."""
        return self._rows.get(tx, 1)

    def put_ca(self, tx: Connection, ca: IssuingCa) -> None:
        """Store the certificate of a role's issuing CA in place of an older one."""
        self._cas.remove(tx, tables.issuing_cas.c.role == ca.role)
        self._cas.insert(tx, ca)

    def issuing_cas(self, tx: Connection) -> dict[str, IssuingCa]:
        """Return the present issuing CAs by role. Verify each against its root before use."""
        return {ca.role: ca for ca in self._cas.every(tx, order=tables.issuing_cas.c.role)}

    def replace_ca(self, tx: Connection, former: IssuingCa, der: bytes, now: int) -> FormerCa:
        """Make `der` the CA of a role in place of `former`, which is kept. Raises Conflict when it is not present."""
        role = former.role
        if role == "pq" or self.issuing_cas(tx)[role] != former:
            raise Conflict(f"the {role} CA was replaced by somebody else")
        row = FormerCa(sha256=sha256_hex(former.der), role=role, der=former.der, created=former.created, replaced=now)
        self._former.insert(tx, row)
        self.put_ca(tx, IssuingCa(role=role, der=der, created=now))
        return row

    def close_ca(self, tx: Connection, former: FormerCa, now: int) -> FormerCa:
        """Write that a former CA is closed. Raises Conflict when somebody else did."""
        if former.closed is not None:
            raise Conflict("this issuing CA is closed already")
        return self._former.change(tx, former, closed=now)

    def former_cas(self, tx: Connection) -> tuple[FormerCa, ...]:
        """Return the issuing CAs that were replaced, oldest first. Verify each against its root before use."""
        return self._former.every(tx, order=tables.former_cas.c.replaced)
