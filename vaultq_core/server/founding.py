"""The one transaction that makes a vault: all its rows, and the first two entries of its log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from sqlalchemy import Connection, Engine

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.registry.administrators import Administrator
from vaultq_core.registry.commit import Committed, Turn
from vaultq_core.registry.keys import SealedKey
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.statements import StatementRow
from vaultq_core.registry.vault import IssuingCa, VaultRow
from vaultq_core.server.authorities import issuer_of
from vaultq_core.server.ceremony import MonthlyKey, NewVault, make_monthly_key, make_statement
from vaultq_core.server.keys import VaultKeys
from vaultq_core.server.services.crls import signed_crl
from vaultq_core.server.services.doctor_units import certificate_row
from vaultq_core.server.services.maintenance import kem_row
from vaultq_core.spi.keystore import Keystore
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import LogEntry, ReplaceableCa, StatementPublished, VaultCreated
from vaultq_core.wire.statements import SignedVaultStatement, decode_vault_statement


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """Who can provision the first doctor."""

    id: str
    name: str
    certificate: x509.Certificate


def found_vault(
    engine: Engine,
    keystore: Keystore,
    new: NewVault,
    keys: VaultKeys,
    administrator: FirstAdministrator,
    now: dt.datetime,
) -> None:
    """Write the vault into an empty, migrated registry. Raises Conflict when there is one already."""
    registry = Registry(engine, keys.row_key)
    with registry.writing() as tx:
        registry.create(tx)
    cas = new.identity.issuing
    ders: dict[ReplaceableCa, bytes] = {"doctors": cas.doctors, "admins": cas.admins, "servers": cas.servers}
    issuers = {role: issuer_of(keystore, f"{role}-ca", load_certificate(der)) for role, der in ders.items()}
    monthly = make_monthly_key(keystore, keys.vault, now)
    signed = make_statement(keys.vault, 1, monthly.public, keys.log.public(), keys.pq, issuers["servers"], now)
    ledger = registry.ledger(keys.log.sign, now.timestamp)
    first = (keys.pq, *issuers.values())
    unit = FoundVault(registry, new, keys, first, administrator, monthly, signed, now)
    (outcome,) = ledger.commit([unit])
    if not isinstance(outcome, Committed):
        raise outcome


@dataclass(frozen=True, slots=True)
class FoundVault:
    """Every first row of a vault."""

    registry: Registry
    new: NewVault
    keys: VaultKeys
    issuers: tuple[Issuer, ...]
    administrator: FirstAdministrator
    monthly: MonthlyKey
    signed: SignedVaultStatement
    now: dt.datetime
    keeps_receipt: bool = True

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when there is a vault already."""
        statement = decode_vault_statement(self.signed.statement)
        self._write_identity(tx, turn.time)
        self._write_administrator(tx, turn.time)
        self.registry.kem_keys.put(tx, kem_row(self.monthly, statement.expires))
        row = StatementRow(
            version=1,
            statement=canonical.encode(self.signed),
            not_after=statement.expires,
            kem_key=statement.kem.id,
        )
        self.registry.statements.put(tx, row)
        for issuer in self.issuers:
            self.registry.crls.put(tx, signed_crl(issuer, (), 1, self.now))
        vault = self.keys.vault
        digest = sha256_hex(self.signed.statement)
        return (
            VaultCreated(vault=vault, administrator=self.administrator.id),
            StatementPublished(vault=vault, version=1, statement=digest),
        )

    def _write_identity(self, tx: Connection, time: int) -> None:
        identity = self.new.identity
        row = VaultRow(
            vault=identity.vault,
            created=time,
            log_origin=identity.origin,
            recovery_public_key=identity.recovery_public,
            hospital_root=identity.roots.hospital,
            pq_root=identity.roots.pq,
        )
        self.registry.vault.create(tx, row)
        cas = identity.issuing
        self.registry.vault.put_ca(tx, IssuingCa(role="pq", der=cas.pq, created=time))
        self.registry.vault.put_ca(tx, IssuingCa(role="doctors", der=cas.doctors, created=time))
        self.registry.vault.put_ca(tx, IssuingCa(role="admins", der=cas.admins, created=time))
        self.registry.vault.put_ca(tx, IssuingCa(role="servers", der=cas.servers, created=time))
        for name, wrapped in self.new.sealed.items():
            self.registry.sealed_keys.put(tx, SealedKey(name=name, wrapped=bytes(wrapped), key_id=str(wrapped.key_id)))

    def _write_administrator(self, tx: Connection, time: int) -> None:
        who = self.administrator
        self.registry.administrators.add(tx, Administrator(id=who.id, name=who.name, status="active", created=time))
        self.registry.certificates.add(tx, certificate_row(who.certificate, "admin-tls", who.id))
