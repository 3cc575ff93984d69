"""Patients: add with a founding grant, find by record number, list those one may see."""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.statements import VerifiedGrant, verify_grant, verify_grant_chain
from vaultq_core.errors import Conflict, KeystoreUnavailable, NotFound
from vaultq_core.registry.commit import Committed, Turn
from vaultq_core.registry.grants import Grant
from vaultq_core.registry.patients import MasterKeyRotated, Patient
from vaultq_core.server.services.access import Access, Allowed, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.patient_keys import NewPatientKey
from vaultq_core.server.services.units import LogOnly
from vaultq_core.wire import canonical
from vaultq_core.wire import sealed_request as wire
from vaultq_core.wire.aad import length_prefixed
from vaultq_core.wire.entries import LogEntry, PatientCreated, SearchRefused
from vaultq_core.wire.proof import encode_receipt

_LABEL: Final = b"vaultq/record-number/v1"
_TRIES: Final = 5


class Patients:
    """What a doctor does with patients as such."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def add(self, caller: Caller, operation: wire.PatientAdd) -> wire.Done:
        """Create a patient whose founder is the caller; the same call again gives the same receipt.

        Raises NotVerified for a founding grant that is not the caller's own; Conflict when the id or the
        record number is taken.
        """
        grant = verify_grant(operation.founding, self._desk.trust, self._desk.now())
        doctor = caller.doctor
        verify_grant_chain([grant], doctor.id, doctor.key, operation.patient, self._desk.now())
        statement = canonical.encode(operation.founding)
        if receipt := self._receipt_of(grant.statement.grant, statement):
            return wire.Done(receipt=receipt)
        index = self._blind_index(operation.demographics.record_number)
        try:
            committed = self._create(
                operation.patient, lambda key: CreatePatient(self._desk, operation, grant, statement, key, index)
            )
            return wire.Done(receipt=encode_receipt(committed.receipts[0]))
        except Conflict:
            # That a number is taken is news to whoever holds no grant: it is logged like a search.
            self._desk.committer.commit(LogOnly(SearchRefused(vault=self._desk.vault, doctor=caller.id)))
            raise Conflict(
                "a patient with this record number, or this id, is there already",
                remedy="Find the patient by number, or ask whoever treats them for a grant.",
            ) from None

    def find(self, caller: Caller, operation: wire.PatientFind) -> wire.Patients:
        """Return the patient of a record number if the caller holds a grant; else the search is logged.

        Raises NotFound, the same for a number that nobody has and one that the caller may not see.
        """
        index = self._blind_index(operation.record_number)
        with self._desk.registry.reading() as tx:
            row = self._desk.registry.patients.by_number(tx, index or "")
            allowed = None if row is None else self._access.find(tx, caller, row.id)
        if allowed is None:
            self._desk.committer.commit(LogOnly(SearchRefused(vault=self._desk.vault, doctor=caller.id)))
            raise NotFound("no patient with this record number, or you hold no grant on them")
        return wire.Patients(patients=(self._row(allowed),), next=None)

    def seen_by(self, caller: Caller, operation: wire.PatientList) -> wire.Patients:
        """Return a page of the patients on whom the caller's grants prove a role."""
        desk = self._desk
        with desk.registry.reading() as tx:
            ids = desk.registry.grants.patients_of(
                tx, caller.id, desk.seconds(), after=operation.after or "", limit=operation.limit
            )
            found = [allowed for each in ids if (allowed := self._access.find(tx, caller, each)) is not None]
        following = ids[-1] if len(ids) == operation.limit else None
        return wire.Patients(patients=tuple(map(self._row, found)), next=following)

    def _create(self, patient: str, unit: Callable[[NewPatientKey], CreatePatient]) -> Committed:
        """Commit the unit with a fresh key for its patient, another one if the master key was rotated meanwhile."""
        for _ in range(_TRIES):
            with suppress(MasterKeyRotated):
                return self._desk.committer.commit(unit(self._desk.patient_keys.make(patient)))
        raise KeystoreUnavailable("the master key changes too fast")

    def _row(self, allowed: Allowed) -> wire.PatientRow:
        row = allowed.patient
        if row.demographics is None:
            raise NotFound("there is no such patient any more")
        return wire.PatientRow(
            patient=row.id,
            demographics=self._desk.patient_keys.open(row).open_demographics(row.demographics),
            role=allowed.role,
            records=row.record_counter,
        )

    def _receipt_of(self, grant: str, statement: bytes) -> str | None:
        with self._desk.registry.reading() as tx:
            row = self._desk.registry.grants.find(tx, grant)
            if row is None or row.statement != statement:
                return None
            return encode_receipt(self._desk.registry.log.receipt(tx, row.log_index))

    def _blind_index(self, number: wire.RecordNumber | None) -> str | None:
        if number is None:
            return None
        fields = (_LABEL, _folded(number.authority).encode(), _folded(number.number).encode())
        return hmac.digest(self._desk.keys.index_key, length_prefixed(fields), "sha256").hex()


@dataclass(frozen=True, slots=True)
class CreatePatient:
    """The unit that makes a patient: row, record number, founding grant and log entry."""

    desk: Desk
    operation: wire.PatientAdd
    grant: VerifiedGrant
    statement: bytes
    key: NewPatientKey = field(repr=False)
    blind_index: str | None
    keeps_receipt: bool = True

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when an id or the record number is taken."""
        rows, said = self.desk.registry, self.grant.statement
        wrapped = self.key.wrapped
        patient = Patient(
            id=said.patient,
            created=turn.time,
            founder=said.doctor,
            wrapped_key=bytes(wrapped),
            key_version=wrapped.key_id.version,
            recovery_key=self.key.sealed_for_recovery,
            demographics=self.key.key.seal_demographics(self.operation.demographics),
        )
        rows.patients.add(tx, patient)
        if self.blind_index is not None:
            rows.patients.add_number(tx, said.patient, self.blind_index)
        rows.grants.add(tx, grant_row(self.grant, self.statement, turn))
        entry = PatientCreated(
            vault=self.desk.vault, doctor=said.doctor, patient=said.patient, grant=sha256_hex(self.statement)
        )
        return (entry,)


def grant_row(grant: VerifiedGrant, statement: bytes, turn: Turn) -> Grant:
    """Return the registry's row of a verified grant."""
    said = grant.statement
    return Grant(
        id=said.grant,
        patient=said.patient,
        doctor=said.doctor,
        role=said.role,
        until=said.until,
        statement=statement,
        parent=said.parent,
        log_index=turn.index,
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().upper()
