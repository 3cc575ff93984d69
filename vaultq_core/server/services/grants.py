"""Grants: a doctor who owns a patient's records lets a colleague read, write or own them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.statements import VerifiedGrant, verify_grant, verify_grant_chain
from vaultq_core.errors import Conflict, NotFound, NotVerified
from vaultq_core.registry.commit import Turn
from vaultq_core.server.services.access import Access, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.patients import grant_row
from vaultq_core.wire import canonical
from vaultq_core.wire import sealed_request as wire
from vaultq_core.wire.entries import GrantGiven, LogEntry
from vaultq_core.wire.limits import PAGE_ITEMS, SIGNED_GRANT_BYTES
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.proof import encode_receipt
from vaultq_core.wire.statements import SignedGrant


class Grants:
    """Takes and shows grants."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def give(self, caller: Caller, operation: wire.GrantGive) -> wire.Done:
        """Store a grant of the caller's; the same grant again gives the same receipt.

        1. The caller signed it (`verify_grant`).
        2. The caller owns the patient's records.
        3. The grantee is an active doctor, and the grant names their present key.
        4. Appended to the chain of its parent, it proves what it says (`verify_grant_chain`).

        Raises NotVerified, NotFound, NotPermitted or Conflict.
        """
        desk, given = self._desk, verify_grant(operation.grant, self._desk.trust, self._desk.now())  # 1
        if given.author.signing_certificate != caller.doctor.signing_certificate:
            raise NotVerified("the grant is signed by another doctor than the one who sends it", step=1)
        said, statement = given.statement, canonical.encode(operation.grant)
        self._access.on_patient(caller, said.patient, "own", "grant")  # 2
        with desk.registry.reading() as tx:
            present = desk.registry.grants.find(tx, said.grant)
            if present is not None and present.statement == statement:  # a safe retry
                return wire.Done(receipt=encode_receipt(desk.registry.log.receipt(tx, present.log_index)))
            if desk.registry.doctors.get(tx, said.doctor).status != "active":  # 3
                raise Conflict("the colleague is not an active doctor")
            if desk.registry.enrolled_keys.of_doctor(tx, said.doctor)[0].signing_key_hash != said.key:
                raise Conflict("the grant names another key than the colleague's present one")
            chain = self._chain(tx, said.parent)
        verify_grant_chain([*chain, given], said.doctor, said.key, said.patient, desk.now())  # 4
        committed = desk.committer.commit(StoreGrant(desk, given, statement))
        return wire.Done(receipt=encode_receipt(committed.receipts[0]))

    def of_patient(self, caller: Caller, operation: wire.GrantList) -> wire.Grants:
        """Return the grants on a patient that hold now. Raises NotFound without a grant."""
        self._access.on_patient(caller, operation.patient, "read", "grants")
        now = self._desk.seconds()
        with self._desk.registry.reading() as tx:
            rows = self._desk.registry.grants.of_patient(tx, operation.patient, limit=PAGE_ITEMS)
        held = (row for row in rows if row.ended_at is None and (row.until is None or row.until >= now))
        return wire.Grants(grants=tuple(_signed(row.statement) for row in held))

    def doctor(self, _caller: Caller, operation: wire.DoctorGet) -> wire.Doctor:
        """Return a colleague's name and certificates. Raises NotFound unless they are active."""
        rows = self._desk.registry
        with self._desk.registry.reading() as tx:
            doctor = rows.doctors.get(tx, operation.doctor)
            if doctor.status != "active":
                raise NotFound("there is no such active doctor")
            key = rows.enrolled_keys.of_doctor(tx, doctor.id)[0]
            signing = rows.certificates.get(tx, key.signing_certificate).der
            tls = rows.certificates.get(tx, key.tls_certificate).der
        return wire.Doctor(doctor=doctor.id, name=doctor.name, certificates=CertificatePair(signing=signing, tls=tls))

    def _chain(self, tx: Connection, parent: str | None) -> list[VerifiedGrant]:
        if parent is None:
            raise NotVerified("a founding grant comes with a new patient", step=4)
        grants = self._desk.registry.grants
        chain = grants.chain(tx, grants.get(tx, parent))
        if any(each.ended_at is not None for each in chain):
            raise NotVerified("the grant's parent has ended", step=4)
        return [self._access.verified(each) for each in chain]


@dataclass(frozen=True, slots=True)
class StoreGrant:
    """The unit that stores a grant and logs it."""

    desk: Desk
    grant: VerifiedGrant
    statement: bytes = field(repr=False)
    keeps_receipt: bool = True

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the row. Raises Conflict when the id is taken."""
        said = self.grant.statement
        self.desk.registry.grants.add(tx, grant_row(self.grant, self.statement, turn))
        entry = GrantGiven(
            vault=self.desk.vault,
            doctor=said.author,
            grantee=said.doctor,
            patient=said.patient,
            grant_id=said.grant,
            grant=sha256_hex(self.statement),
        )
        return (entry,)


def _signed(statement: bytes) -> SignedGrant:
    return canonical.decode(statement, SignedGrant, limit=SIGNED_GRANT_BYTES)
