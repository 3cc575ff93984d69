"""What one worker does for all: renew statement and CRLs, retire KEM keys, keep the checkpoint in storage."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import Conflict, KeyNotFound, ObjectExists
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.keys import KemKeyRow
from vaultq_core.registry.statements import StatementRow
from vaultq_core.server.ceremony import STATEMENT_LIFETIME, MonthlyKey, kem_key_id, make_monthly_key, make_statement
from vaultq_core.server.services.crls import CrlPublisher
from vaultq_core.server.services.desk import Desk, KeyDesk
from vaultq_core.spi.keystore import KeyId
from vaultq_core.spi.names import CHECKPOINTS, checkpoint_name
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import LogEntry, StatementPublished
from vaultq_core.wire.statements import KemKey, SignedVaultStatement, decode_vault_statement

RENEW_STATEMENT_AFTER: Final = dt.timedelta(days=7)
KEPT_AFTER_STATEMENT: Final = dt.timedelta(days=7)
LEASE: Final = "maintenance"
LEASE_SECONDS: Final = 90


class Maintenance:
    """Jobs that run every few seconds in whichever worker holds the lease; each does nothing until it is due."""

    def __init__(self, desk: Desk, crls: CrlPublisher, holder: str) -> None:
        self._desk = desk
        self._crls = crls
        self._holder = holder
        self._published = 0
        self._holds_lease = False
        self._is_finished = False
        self._running = threading.Lock()

    def run(self) -> None:
        """Do what is due. Raises Unavailable when something does not answer; the next run goes on."""
        with self._running:
            self._run()

    def publish_if_holder(self) -> None:
        """Put the newest checkpoint into storage if this worker holds the lease."""
        if self._holds_lease:
            self._publish_checkpoint()

    def finish(self) -> None:
        """Publish the last checkpoint, and let another worker take over at once and for good.

        After a reload that is the worker in the same place, which has the lease by its holder's name already: it
        takes it again when it next runs.
        """
        with self._running:
            self._is_finished = True
            self._publish_checkpoint()
            if self._holds_lease:
                self._holds_lease = False
                with self._desk.registry.writing() as tx:
                    self._desk.registry.leases.release(tx, LEASE, self._holder)

    def _run(self) -> None:
        self._holds_lease = not self._is_finished and self._lease()
        if not self._holds_lease:
            return
        self._renew_statement()
        if self._crls.is_due():
            self._crls.publish()
        self._destroy_old_keys()
        self.publish_if_holder()

    def _publish_checkpoint(self) -> None:
        """Put the newest checkpoint into storage and delete older ones: a restored backup cannot fork unnoticed."""
        with self._desk.registry.reading() as tx:
            head = self._desk.registry.log.head(tx)
        if head.size == self._published:
            return
        with suppress(ObjectExists):
            self._desk.storage.put_new(checkpoint_name(head.size), [head.note.encode()])
        for stored in self._desk.storage.list(CHECKPOINTS):
            if stored.name < checkpoint_name(head.size):
                self._desk.storage.delete(stored.name)
        self._published = head.size

    def _lease(self) -> bool:
        try:
            with self._desk.registry.writing() as tx:
                return self._desk.registry.leases.take(
                    tx, LEASE, self._holder, now=self._desk.seconds(), seconds=LEASE_SECONDS
                )
        except Conflict:  # another worker took it in the same instant
            return False

    def _renew_statement(self) -> None:
        desk = self._desk
        with desk.registry.reading() as tx:
            newest = desk.registry.statements.newest(tx)
        age = desk.now() + STATEMENT_LIFETIME - dt.datetime.fromtimestamp(newest.not_after, dt.UTC)
        month = kem_key_id(desk.now())
        if newest.kem_key >= month and age < RENEW_STATEMENT_AFTER:
            return
        new_key = None if newest.kem_key >= month else make_monthly_key(desk.keystore, desk.vault, desk.now())
        kem = new_key.public if new_key else self._kem_of(newest)
        keys, servers = desk.keys, desk.authorities.issuer("servers")
        signed = make_statement(desk.vault, newest.version + 1, kem, keys.log.public(), keys.pq, servers, desk.now())
        desk.committer.commit(PublishStatement(desk, signed, new_key, servers.certificate, self._holder))

    def _kem_of(self, row: StatementRow) -> KemKey:
        with self._desk.registry.reading() as tx:
            key = self._desk.registry.kem_keys.get(tx, row.kem_key)
        return KemKey(id=key.id, public_key=key.public_key)

    def _destroy_old_keys(self) -> None:
        with self._desk.registry.reading() as tx:
            due = self._desk.registry.kem_keys.due(tx, self._desk.seconds())
        for row in due:
            with suppress(KeyNotFound):  # a run that was killed had come this far
                self._desk.keystore.destroy_key(KeyId.parse(row.key_id))
            with self._desk.registry.writing() as tx:
                self._desk.registry.kem_keys.destroy(tx, row.id)
            self._desk.kem_keys.forget(row.id)


@dataclass(frozen=True, slots=True)
class PublishStatement:
    """The unit that brings a vault statement into force, with the month's KEM key if it is new.

    `maker` made that key, and must have had the lease ever since: else keys may have moved to another keystore.
    """

    desk: KeyDesk
    signed: SignedVaultStatement
    new_key: MonthlyKey | None
    servers: x509.Certificate
    maker: str = ""
    keeps_receipt: bool = False

    def apply(self, tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when another worker was first, the servers CA was replaced, or keys moved."""
        rows, statement = self.desk.registry, decode_vault_statement(self.signed.statement)
        self.desk.authorities.require_present(tx, "servers", self.servers)
        if self.new_key is not None:
            if not rows.leases.holds(tx, LEASE, self.maker):
                raise Conflict("another process took over maintenance meanwhile")
            rows.kem_keys.put(tx, kem_row(self.new_key, statement.expires))
        else:
            rows.kem_keys.keep_until(tx, statement.kem.id, destroy_after(statement.expires))
        rows.statements.put(
            tx,
            StatementRow(
                version=statement.version,
                statement=canonical.encode(self.signed),
                not_after=statement.expires,
                kem_key=statement.kem.id,
            ),
        )
        digest = sha256_hex(self.signed.statement)
        return (StatementPublished(vault=statement.vault, version=statement.version, statement=digest),)


def kem_row(key: MonthlyKey, statement_expires: int) -> KemKeyRow:
    """Return the registry's row of a new month's key."""
    return KemKeyRow(
        id=key.public.id,
        public_key=key.public.public_key,
        wrapped_seed=bytes(key.wrapped),
        key_id=str(key.wrapped.key_id),
        destroy_after=destroy_after(statement_expires),
    )


def destroy_after(statement_expires: int) -> int:
    """Return when a KEM key is destroyed: a week after the last statement that names it has ended."""
    return statement_expires + int(KEPT_AFTER_STATEMENT.total_seconds())
