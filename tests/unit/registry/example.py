"""A hospital's registry in miniature: one vault, doctor Ada, her patient, and units as the server commits them."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from sqlalchemy import Connection

from vaultq_core.crypto.checkpoints import LogSigner
from vaultq_core.registry.commit import Ledger, Turn
from vaultq_core.registry.doctors import Doctor
from vaultq_core.registry.engine import open_engine
from vaultq_core.registry.patients import Patient
from vaultq_core.registry.pending_records import PendingRecord
from vaultq_core.registry.records import RecordRow
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.schema import migrate
from vaultq_core.registry.vault import VaultRow
from vaultq_core.wire.entries import DoctorProvisioned, LogEntry, RecordStored

VAULT = "5a" * 32
ADMIN = "ad-0000000000"
ADA = "dr-0000000001"
BOB = "dr-0000000002"
PATIENT = "11111111-1111-4111-8111-111111111111"
ROW_KEY = b"r" * 32
CREATED = 1_700_000_000
LOG_SIGNER = LogSigner(
    "vaultq/" + VAULT[:16],
    ed25519.Ed25519PrivateKey.from_private_bytes(b"e" * 32),
    mldsa.MLDSA44PrivateKey.from_seed_bytes(b"m" * 32),
)

HOSPITAL = VaultRow(
    vault=VAULT,
    created=CREATED,
    log_origin=LOG_SIGNER.origin,
    recovery_public_key=b"recovery",
    hospital_root=b"hospital root",
    pq_root=b"pq root",
)


def new_registry(path: Path) -> Registry:
    """A migrated registry with its vault, Ada, Bob and one patient."""
    registry = opened_registry(path)
    migrate(registry.engine)
    with registry.writing() as tx:
        registry.create(tx)
        registry.vault.create(tx, HOSPITAL)
        for doctor, name in ((ADA, "Ada Lovelace"), (BOB, "Bob Koch")):
            registry.doctors.add(tx, Doctor(id=doctor, name=name, status="provisioned", created=CREATED))
        registry.patients.add(tx, a_patient(PATIENT))
    return registry


def opened_registry(path: Path) -> Registry:
    return Registry(open_engine(f"sqlite:///{path}"), ROW_KEY)


def ledger_of(registry: Registry, clock: Callable[[], float] = time.time) -> Ledger:
    return registry.ledger(LOG_SIGNER.sign, clock)


def a_patient(patient: str) -> Patient:
    return Patient(
        id=patient,
        created=CREATED,
        founder=ADA,
        wrapped_key=b"wrapped patient key",
        key_version=1,
        recovery_key=b"sealed to recovery",
        demographics=b"sealed demographics",
    )


def a_record(number: int, **changes: object) -> RecordRow:
    """Row `number` of the patient's records."""
    fields: dict[str, object] = {
        "id": str(uuid.UUID(int=number, version=4)),
        "patient": PATIENT,
        "author": ADA,
        "manifest_hash": "aa" * 32,
        "record_hash": "bb" * 32,
        "object_name": f"vault/{PATIENT}/{number}.vqr",
        "size": 1000,
        "wrapped_dek": b"wrapped dek",
        "sealed_manifest": b"sealed manifest",
        "counter": number,
        "log_index": number,
        "stored_at": CREATED,
    }
    return RecordRow(**(fields | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Provisioned:
    """A unit that only the log knows of."""

    doctor: str = ADA
    keeps_receipt: bool = False

    def apply(self, _tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        return [DoctorProvisioned(vault=VAULT, administrator=ADMIN, doctor=self.doctor)]


@dataclass(frozen=True)
class Calls:
    """A unit that is a function."""

    function: Callable[[Connection, Turn], Sequence[LogEntry]]
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        return self.function(tx, turn)


@dataclass(frozen=True)
class Stored:
    """A record's unit, as large as a real one: pending row, counter, record row with its sealed manifest, entry."""

    registry: Registry
    patient: str = PATIENT
    record: str = field(default_factory=lambda: str(uuid.uuid4()))
    keeps_receipt: bool = True

    def announce(self) -> None:
        with self.registry.writing() as tx:
            row = PendingRecord(object_name=self.object_name, record=self.record, patient=self.patient, created=CREATED)
            self.registry.pending_records.add(tx, row)

    @property
    def object_name(self) -> str:
        return f"vault/{self.patient}/{self.record}.vqr"

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        self.registry.pending_records.take(tx, self.object_name)
        counter = self.registry.patients.next_record(tx, self.patient)
        manifest = hashlib.sha256(self.record.encode()).hexdigest()
        self.registry.records.add(
            tx,
            a_record(
                counter,
                id=self.record,
                patient=self.patient,
                object_name=self.object_name,
                manifest_hash=manifest,
                sealed_manifest=b"s" * 12_000,
                log_index=turn.index,
                stored_at=turn.time,
            ),
        )
        entry = RecordStored(
            vault=VAULT,
            author=ADA,
            patient=self.patient,
            record=self.record,
            manifest=manifest,
            record_hash="bb" * 32,
            counter=counter,
        )
        return [entry]
