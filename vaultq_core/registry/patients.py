"""Patients: their wrapped keys, their sealed demographics, and the blind index that finds them by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.citations import newest_master
from vaultq_core.registry.row_auth import RowAuth, Value
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.patients import patients, record_numbers
from vaultq_core.spi.keystore import WrappedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient; what is sealed or wrapped is gone once `erased_at` is set. Times in POSIX seconds.

    `key_version` is the version of the master key that wraps the patient key, `record_counter` the number of the
    patient's newest record.
    """

    id: str
    created: int
    founder: str
    wrapped_key: bytes | None = field(repr=False)
    key_version: int
    recovery_key: bytes | None = field(repr=False)
    demographics: bytes | None = field(default=None, repr=False)
    record_counter: int = 0
    erased_at: int | None = None


class MasterKeyRotated(Conflict):
    """A new patient's key is under a master key that is on its way out. Wrap it again."""


class Patients:
    """All patients. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(patients, Patient, "patient", auth)

    def add(self, tx: Connection, patient: Patient) -> None:
        """Add the patient. Raises MasterKeyRotated, or Conflict when the id is taken or the founder unknown.

        A key that was wrapped before a rotation must not come in after it: its master key may be gone by then.
        """
        if patient.key_version < newest_master(tx):
            raise MasterKeyRotated("the master key was rotated after this patient's key was wrapped")
        self._rows.insert(tx, patient)

    def get(self, tx: Connection, patient: str) -> Patient:
        """Return the patient. Raises NotFound."""
        return self._rows.get(tx, patient)

    def find(self, tx: Connection, patient: str) -> Patient | None:
        """Return the patient, or None."""
        return self._rows.find(tx, patient)

    def describe(self, tx: Connection, patient: str, demographics: bytes) -> Patient:
        """Replace the sealed demographics. Raises NotFound, also for an erased patient."""
        return self._rows.change(tx, self._present(tx, patient), demographics=demographics)

    def next_record(self, tx: Connection, patient: str) -> int:
        """Return the number of the patient's next record, which is then taken; the first is 1. Raises NotFound."""
        present = self._present(tx, patient)
        return self._rows.change(tx, present, record_counter=present.record_counter + 1).record_counter

    def add_number(self, tx: Connection, patient: str, blind_index: str) -> None:
        """Let a record number (its HMAC, hex) find the patient. Raises Conflict when it finds another."""
        tx.execute(insert(record_numbers).values(blind_index=blind_index, patient=patient))

    def by_number(self, tx: Connection, blind_index: str) -> Patient | None:
        """Return the patient whom a record number (its HMAC, hex) names, or None."""
        found = select(record_numbers.c.patient).where(record_numbers.c.blind_index == blind_index)
        patient = tx.execute(found).scalar_one_or_none()
        return None if patient is None else self.get(tx, patient)

    def wrapped_before(self, tx: Connection, key_version: int, *, limit: int) -> tuple[Patient, ...]:
        """Return at most `limit` patients whose key an older master key wraps: for rotation."""
        older = (patients.c.key_version < key_version, patients.c.wrapped_key.is_not(None))
        return self._rows.page(tx, *older, order=patients.c.key_version, limit=limit)

    def rewrap_all(self, tx: Connection, wrapped: Sequence[tuple[Patient, WrappedKey]]) -> int:
        """Replace the wrapping of many patient keys at once; return how many. A row that changed meanwhile stays."""
        changes: list[tuple[Patient, dict[str, Value]]] = [
            (patient, {"wrapped_key": bytes(key), "key_version": key.key_id.version}) for patient, key in wrapped
        ]
        return self._rows.change_all(tx, changes)

    def erase(self, tx: Connection, patient: str, now: int) -> Patient:
        """Delete the patient's key, demographics and record numbers. Raises NotFound when they are gone.

        Records and log have their share: `Records.erase`, `Log.erase_salts`; then `engine.forget_deleted`.
        """
        present = self._present(tx, patient)
        tx.execute(delete(record_numbers).where(record_numbers.c.patient == patient))
        return self._rows.change(tx, present, wrapped_key=None, recovery_key=None, demographics=None, erased_at=now)

    def _present(self, tx: Connection, patient: str) -> Patient:
        found = self.get(tx, patient)
        if found.erased_at is not None:
            raise NotFound("there is no such patient any more")
        return found
