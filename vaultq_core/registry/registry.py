"""The registry as one value: its engine, and the repository of every noun under the vault's row key."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from vaultq_core.registry.administrators import Administrators
from vaultq_core.registry.certificates import Certificates
from vaultq_core.registry.commit import Clock, Ledger, SignCheckpoint
from vaultq_core.registry.crls import Crls
from vaultq_core.registry.doctors import Doctors
from vaultq_core.registry.engine import forget_deleted, reading, writing
from vaultq_core.registry.enrolled_keys import EnrolledKeys
from vaultq_core.registry.enrolments import Enrolments
from vaultq_core.registry.epoch import Epoch
from vaultq_core.registry.grants import Grants
from vaultq_core.registry.keys import KemKeys, SealedKeys
from vaultq_core.registry.keystore_moves import KeystoreMoves
from vaultq_core.registry.leases import Leases
from vaultq_core.registry.log import Log
from vaultq_core.registry.passwords import OneTimePasswords
from vaultq_core.registry.patients import Patient, Patients
from vaultq_core.registry.pending_records import PendingRecords
from vaultq_core.registry.rates import Rates
from vaultq_core.registry.records import Records
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.statements import VaultStatements
from vaultq_core.registry.vault import Vault
from vaultq_core.registry.workers import Workers


class Registry:
    """All repositories over one engine. `row_key` is the vault's opened row key, 32 bytes."""

    def __init__(self, engine: Engine, row_key: bytes) -> None:
        auth = RowAuth(row_key)
        self.engine = engine
        self.vault = Vault(auth)
        self.sealed_keys = SealedKeys()
        self.kem_keys = KemKeys()
        self.statements = VaultStatements()
        self.crls = Crls()
        self.epoch = Epoch()
        self.leases = Leases()
        self.workers = Workers()
        self.keystore_moves = KeystoreMoves()
        self.rates = Rates()
        self.doctors = Doctors(auth)
        self.administrators = Administrators(auth)
        self.passwords = OneTimePasswords()
        self.enrolments = Enrolments()
        self.enrolled_keys = EnrolledKeys()
        self.certificates = Certificates(auth)
        self.patients = Patients(auth)
        self.grants = Grants(auth)
        self.pending_records = PendingRecords()
        self.records = Records(auth)
        self.log = Log(auth)

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that only reads: `engine.reading`."""
        return reading(self.engine)

    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction for changes that the log need not know: `engine.writing`."""
        return writing(self.engine)

    def patient(self, patient: str) -> Patient:
        """Return a patient's row as it is now, in a transaction of its own. Raises NotFound."""
        with self.reading() as tx:
            return self.patients.get(tx, patient)

    def create(self, tx: Connection) -> None:
        """Make an empty log and an epoch; the first commit makes the vault. Raises Conflict when they are there."""
        self.log.create(tx)
        self.epoch.create(tx)

    def ledger(self, sign_checkpoint: SignCheckpoint, clock: Clock) -> Ledger:
        """Return a ledger over this registry's log; `sign_checkpoint` makes the note of size, root and log time."""
        return Ledger(self.engine, self.log, sign_checkpoint, clock)

    def forget_deleted(self) -> None:
        """Make what was deleted unreadable on disk: `engine.forget_deleted`."""
        forget_deleted(self.engine)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self.engine.dispose()
