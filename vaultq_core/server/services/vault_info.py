"""What clients must know of the vault: roots, issuing CAs, statement, CRLs, the newest checkpoint."""

from __future__ import annotations

from vaultq_core.server.services.desk import Desk
from vaultq_core.wire import api, canonical
from vaultq_core.wire.limits import STATEMENT_BYTES
from vaultq_core.wire.statements import SignedVaultStatement

SIGNED_STATEMENT_BYTES = 4 * STATEMENT_BYTES


class VaultInfo:
    """Answers GET /v1/vault."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self) -> api.VaultInfo:
        """Return the vault's public facts as they stand in the registry."""
        rows, keys = self._desk.registry, self._desk.keys
        with self._desk.registry.reading() as tx:
            cas = self._desk.authorities.read(tx)
            statement = rows.statements.newest(tx).statement
            crls = tuple(row.der for row in rows.crls.every(tx))
            checkpoint = rows.log.head(tx).note
        return api.VaultInfo(
            vault=keys.vault,
            roots=keys.roots,
            issuing=cas.issuing,
            statement=canonical.decode(statement, SignedVaultStatement, limit=SIGNED_STATEMENT_BYTES),
            crls=crls,
            checkpoint=checkpoint,
            former=tuple(each.row.der for each in cas.former if each.row.role == "doctors"),
        )


class ServerStatus:
    """Answers GET /v1/status: versions, backends, ages, counts."""

    def __init__(self, desk: Desk, version: str, tls: str) -> None:
        self._desk = desk
        self._version = version
        self._tls = tls

    def __call__(self) -> api.ServerStatus:
        """Return the facts. Raises RegistryUnavailable."""
        rows = self._desk.registry
        with self._desk.registry.reading() as tx:
            statement = rows.statements.newest(tx)
            return api.ServerStatus(
                vault=self._desk.vault,
                version=self._version,
                tls=self._tls,
                keystore=self._desk.keystore.info().backend,
                storage=type(self._desk.storage).__name__,
                registry=self._desk.registry.engine.dialect.name,
                statement_version=statement.version,
                statement_expires=statement.not_after,
                crl_next_update=min((row.next_update for row in rows.crls.every(tx)), default=0),
                log_size=rows.log.head(tx).size,
                doctors_active=rows.doctors.count(tx, "active"),
                records=rows.records.count(tx),
            )
