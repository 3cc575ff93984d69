"""What every use case works with: the open keys, keystore and storage, the registry and its committer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from vaultq_core.registry.administrators import Administrators
from vaultq_core.registry.certificates import Certificates
from vaultq_core.registry.committer import Committer
from vaultq_core.registry.crls import Crls
from vaultq_core.registry.doctors import Doctors
from vaultq_core.registry.enrolled_keys import EnrolledKeys
from vaultq_core.registry.enrolments import Enrolments
from vaultq_core.registry.epoch import Epoch
from vaultq_core.registry.grants import Grants
from vaultq_core.registry.keys import KemKeys as KemKeyRows
from vaultq_core.registry.keys import SealedKeys
from vaultq_core.registry.leases import Leases
from vaultq_core.registry.log import Log
from vaultq_core.registry.passwords import OneTimePasswords
from vaultq_core.registry.patients import Patients
from vaultq_core.registry.pending_records import PendingRecords
from vaultq_core.registry.rates import Rates
from vaultq_core.registry.records import Records
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.statements import VaultStatements
from vaultq_core.registry.vault import Vault
from vaultq_core.server.keys import KemKeys, VaultKeys
from vaultq_core.server.services.patient_keys import PatientKeys
from vaultq_core.spi.keystore import Keystore
from vaultq_core.spi.storage import Storage
from vaultq_core.wire.limits import Limits

Clock = Callable[[], dt.datetime]


class Repositories:
    """Every repository of the registry, under one row key."""

    def __init__(self, auth: RowAuth) -> None:
        self.administrators = Administrators(auth)
        self.certificates = Certificates(auth)
        self.crls = Crls()
        self.doctors = Doctors(auth)
        self.enrolled_keys = EnrolledKeys()
        self.enrolments = Enrolments()
        self.epoch = Epoch()
        self.grants = Grants(auth)
        self.kem_keys = KemKeyRows()
        self.leases = Leases()
        self.log = Log(auth)
        self.passwords = OneTimePasswords()
        self.patients = Patients(auth)
        self.pending = PendingRecords()
        self.rates = Rates()
        self.records = Records(auth)
        self.sealed_keys = SealedKeys()
        self.statements = VaultStatements()
        self.vault = Vault(auth)


@dataclass(frozen=True, slots=True)
class Desk:
    """One worker's share of the vault. All of it may be used by threads at the same time."""

    keys: VaultKeys
    kem_keys: KemKeys
    patient_keys: PatientKeys
    keystore: Keystore
    storage: Storage
    engine: Engine
    rows: Repositories
    committer: Committer = field(repr=False)
    limits: Limits
    now: Clock

    @property
    def vault(self) -> str:
        """The vault's id."""
        return self.keys.vault

    def seconds(self) -> int:
        """Return now as POSIX seconds."""
        return int(self.now().timestamp())
