"""What a doctor may ask for on the records listener, sealed and signed, and what is answered.

docs/spec/sealed-request.md. The records themselves come by upload frame (`frame.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

import msgspec

from vaultq_core.wire.ids import (
    DoctorId,
    Key32,
    Line,
    PatientId,
    RecordId,
    Salt,
    Sha256,
    Size,
    SuiteId,
    Time,
    VaultId,
)
from vaultq_core.wire.limits import PAGE_ITEMS, PROOF_BYTES, REQUEST_BYTES
from vaultq_core.wire.manifest import MLDSA65_SIGNATURE_BYTES, CertificatePair, SignedManifest
from vaultq_core.wire.statements import Role, SignedGrant

PageSize = Annotated[int, msgspec.Meta(ge=1, le=PAGE_ITEMS)]
ReceiptText = Annotated[str, msgspec.Meta(max_length=PROOF_BYTES)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="operation"):
    pass


class RecordNumber(_Strict, frozen=True, kw_only=True):
    """A hospital's own number of a patient, under the authority that assigned it (HL7 v2.9, CX.4)."""

    authority: Line
    number: Line


class Demographics(_Strict, frozen=True, kw_only=True):
    """What people know a patient by; sealed under the patient's key wherever it rests."""

    name: Line
    birth_date: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")] | None
    record_number: RecordNumber | None


class PatientAdd(_Operation, tag="patient-add", frozen=True, kw_only=True):
    """Create a patient under a random id of the client's, with the founding grant."""

    patient: PatientId
    demographics: Demographics
    founding: SignedGrant


class PatientFind(_Operation, tag="patient-find", frozen=True, kw_only=True):
    """Find a patient by record number; answers only with a grant."""

    record_number: RecordNumber


class PatientList(_Operation, tag="patient-list", frozen=True, kw_only=True):
    """The patients on whom the doctor holds a grant, by id, after `after`."""

    after: PatientId | None
    limit: PageSize


class RecordList(_Operation, tag="record-list", frozen=True, kw_only=True):
    """A patient's records in the order of their counter, after `after`."""

    patient: PatientId
    after: Size
    limit: PageSize


class RecordGet(_Operation, tag="record-get", frozen=True, kw_only=True):
    """One record with its content."""

    record: RecordId


class GrantGive(_Operation, tag="grant-give", frozen=True, kw_only=True):
    """Give another doctor a role on a patient."""

    grant: SignedGrant


class GrantList(_Operation, tag="grant-list", frozen=True, kw_only=True):
    """All grants of a patient that hold now."""

    patient: PatientId


class DoctorGet(_Operation, tag="doctor-get", frozen=True, kw_only=True):
    """A colleague's name and certificates, to grant to."""

    doctor: DoctorId


class CertificatesRenew(_Operation, tag="certificates-renew", frozen=True, kw_only=True):
    """New certificates over the same keys, if the present ones end soon or their CA was replaced.

    Answered with the newest pair, as a Doctor, whether it was due or not.
    """


Operation = Union[  # noqa: UP007 - the names read better in a column
    PatientAdd,
    PatientFind,
    PatientList,
    RecordList,
    RecordGet,
    GrantGive,
    GrantList,
    DoctorGet,
    CertificatesRenew,
]


class Request(_Strict, frozen=True, kw_only=True):
    """What the doctor's ML-DSA-65 key signs; `answer_key` is fresh and encrypts the answer."""

    type: Literal["vaultq/request/v1"] = "vaultq/request/v1"
    suite: SuiteId
    vault: VaultId
    doctor: DoctorId
    signing_certificate: Sha256
    time: Time
    nonce: Salt
    answer_key: Key32
    operation: Operation

    def __repr__(self) -> str:
        """Hide the answer key and personal data."""
        return f"Request(doctor={self.doctor!r}, operation={type(self.operation).__name__})"


class SignedRequest(_Strict, frozen=True, kw_only=True):
    """A request's exact bytes and the signature over them (context `vaultq/request/v1`)."""

    request: Annotated[bytes, msgspec.Meta(max_length=REQUEST_BYTES)]
    mldsa65: Annotated[bytes, msgspec.Meta(min_length=MLDSA65_SIGNATURE_BYTES, max_length=MLDSA65_SIGNATURE_BYTES)]


# --- answers --------------------------------------------------------------------------------------


class Done(_Strict, frozen=True, kw_only=True):
    """A change is in the log."""

    receipt: ReceiptText


class PatientRow(_Strict, frozen=True, kw_only=True):
    """A patient as a doctor with `role` sees them; `records` is the newest counter."""

    patient: PatientId
    demographics: Demographics
    role: Role
    records: Size


class Patients(_Strict, frozen=True, kw_only=True):
    """A page of patients; `next` continues it, or null."""

    patients: tuple[PatientRow, ...]
    next: PatientId | None


class RecordRow(_Strict, frozen=True, kw_only=True):
    """A stored record: who signed what, where the log has it, whether it was found damaged."""

    signed: SignedManifest
    counter: Size
    index: Size
    time: Time
    record_hash: Sha256
    damaged: bool


class Records(_Strict, frozen=True, kw_only=True):
    """A page of records without a gap in `counter`; `total` is the patient's newest counter."""

    records: tuple[RecordRow, ...]
    total: Size


class RecordHead(_Strict, frozen=True, kw_only=True):
    """What precedes a record's content."""

    signed: SignedManifest
    receipt: ReceiptText


class Grants(_Strict, frozen=True, kw_only=True):
    """A patient's grants, founder first."""

    grants: tuple[SignedGrant, ...]


class Doctor(_Strict, frozen=True, kw_only=True):
    """A colleague, or the doctor who asks; the certificates are to be verified before anything is done with them."""

    doctor: DoctorId
    name: Line
    certificates: CertificatePair
