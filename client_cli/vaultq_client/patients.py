"""Patients: founding one, finding one by record number, listing those this doctor has a grant on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from vaultq_client.results import AddedPatient, ListedPatient
from vaultq_client.session import Session
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.statements import sign_grant
from vaultq_core.errors import NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import PatientCreated
from vaultq_core.wire.limits import PAGE_ITEMS, REQUEST_BYTES
from vaultq_core.wire.sealed_request import (
    Demographics,
    Done,
    PatientAdd,
    PatientFind,
    PatientList,
    PatientRow,
    Patients,
    RecordNumber,
)
from vaultq_core.wire.statements import GrantStatement, SignedGrant
from vaultq_core.wire.suite import VQ_65


def add_patient(session: Session, demographics: Demographics) -> AddedPatient:
    """Create a patient under a random id; this doctor founds it. Raises Conflict for a known number."""
    known = canonical.decode(canonical.encode(demographics), Demographics, limit=REQUEST_BYTES)
    patient = str(uuid.uuid4())
    founding = _founding_grant(session, patient)
    done = session.ask(PatientAdd(patient=patient, demographics=known, founding=founding), Done)
    position = session.verify_change(done.receipt)
    entry = position.entry
    meant = (session.vault, session.identity.doctor, patient, sha256_hex(canonical.encode(founding)))
    if not isinstance(entry, PatientCreated) or (entry.vault, entry.doctor, entry.patient, entry.grant) != meant:
        raise NotVerified("the receipt is about something else than this patient")
    return AddedPatient(patient, position.index, position.time)


def find_patient(session: Session, number: RecordNumber) -> tuple[ListedPatient, ...]:
    """Return the patient of a record number, if this doctor has a grant. Raises NotFound."""
    wanted = canonical.decode(canonical.encode(number), RecordNumber, limit=REQUEST_BYTES)
    found = session.ask(PatientFind(record_number=wanted), Patients).patients
    if any(_folded(each.demographics.record_number) != _folded(wanted) for each in found):
        raise NotVerified("the vault answered with another patient's record number")
    return tuple(_listed(each) for each in found)


def list_patients(session: Session) -> Iterator[ListedPatient]:
    """Yield every patient on whom this doctor has a grant, by id. Raises NotVerified for pages that do not advance."""
    after: str | None = None
    while True:
        page = session.ask(PatientList(after=after, limit=PAGE_ITEMS), Patients)
        yield from map(_listed, page.patients)
        if page.next is None:
            return
        if after is not None and page.next <= after:
            raise NotVerified("the vault's list of patients does not advance")
        after = page.next


def _founding_grant(session: Session, patient: str) -> SignedGrant:
    me = session.identity
    statement = GrantStatement(
        suite=VQ_65,
        vault=session.vault,
        grant=str(uuid.uuid4()),
        parent=None,
        patient=patient,
        author=me.doctor,
        doctor=me.doctor,
        key=session.key,
        role="own",
        created=int(session.now().timestamp()),
        until=None,
    )
    return sign_grant(statement, me.keys.signing, me.certificates)


def _folded(number: RecordNumber | None) -> tuple[str, str] | None:
    """Return what the vault's blind index goes by: neither case nor spaces around it count."""
    if number is None:
        return None
    return number.authority.strip().upper(), number.number.strip().upper()


def _listed(row: PatientRow) -> ListedPatient:
    return ListedPatient(row.patient, row.demographics, row.role, row.records)
