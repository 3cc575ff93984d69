"""Who may do what: the doctor behind a connection, and their role on a patient.

The registry is asked on every request, whatever TLS said at the handshake. A patient on whom a doctor
holds no grant answers as one that does not exist, and the attempt stands in the log.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from sqlalchemy import Connection

from vaultq_core.crypto.chains import VerifiedDoctor, verify_doctor
from vaultq_core.crypto.statements import VerifiedGrant, allows, verify_grant, verify_grant_chain
from vaultq_core.errors import NotAuthenticated, NotFound, NotPermitted, NotVerified
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.grants import Grant
from vaultq_core.registry.patients import Patient
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.units import LogOnly
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import AccessRefused
from vaultq_core.wire.limits import SIGNED_GRANT_BYTES
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.statements import Role, SignedGrant

VERIFIED_PAIRS: Final = 4096  # certificate pairs kept verified in memory; each takes 1.6 ms to verify
VERIFIED_GRANTS: Final = 16384
_ROLES: Final[tuple[Role, ...]] = ("own", "write", "read")


@dataclass(frozen=True, slots=True)
class Caller:
    """The doctor of a request: verified and active."""

    doctor: VerifiedDoctor
    certificates: CertificatePair = field(repr=False)

    @property
    def id(self) -> str:
        """The doctor's id."""
        return self.doctor.id


@dataclass(frozen=True, slots=True)
class Allowed:
    """A patient whom the caller may see, the role that their grants prove, and the grant that gives it."""

    patient: Patient
    role: Role
    grant: str


class Access:
    """Authenticates doctors and administrators, and authorises doctors on patients."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._caller = lru_cache(VERIFIED_PAIRS)(self._find_caller)
        self._verified_grant = lru_cache(VERIFIED_GRANTS)(self._verify_grant)

    def doctor(self, tls_certificate: str) -> Caller:
        """Return the caller of a TLS certificate (SHA-256 of its DER).

        1. The registry knows both certificates of the pair, and the doctor, as active. What it said is
           kept until the epoch changes, which the registry is asked for every time.
        2. The pair holds together (`verify_doctor`).
        3. It has not ended.

        Raises NotAuthenticated.
        """
        with self._desk.registry.reading() as tx:
            epoch = self._desk.registry.epoch.value(tx)
        caller = self._caller(tls_certificate, epoch)  # 1 2
        if self._desk.now() > caller.doctor.not_after:  # 3
            raise NotAuthenticated("the certificate has ended")
        return caller

    def administrator(self, tls_certificate: str) -> str:
        """Return the id of the active administrator of a TLS certificate. Raises NotAuthenticated."""
        with self._desk.registry.reading() as tx:
            owner = self._active(tx, tls_certificate, "admin-tls").owner
            if self._desk.registry.administrators.get(tx, owner).status != "active":
                raise NotAuthenticated("this certificate is not an active administrator's")
        return owner

    def is_active(self, certificate: str) -> bool:
        """Tell whether the registry knows a certificate (SHA-256 of its DER) as active and in date."""
        with self._desk.registry.reading() as tx:
            row = self._desk.registry.certificates.find(tx, certificate)
        return row is not None and row.is_active(self._desk.seconds())

    def require_same_doctor(self, caller: Caller, author: VerifiedDoctor) -> None:
        """Refuse what somebody else signed than the one who sends it. Raises NotVerified.

        What was signed under a pair of the same key before it was renewed is as good, while that pair counts.
        """
        if (author.id, author.key) != (caller.id, caller.doctor.key):
            raise NotVerified("this is signed by another doctor, or another key, than the one who sends it")
        if author.signing_certificate == caller.doctor.signing_certificate:
            return
        if not self.is_active(author.signing_certificate) or not self.is_active(author.tls_certificate):
            raise NotVerified(
                "this is signed under certificates that were renewed and count no more",
                remedy="Sign it anew: discard the upload that waits, and put the file again.",
            )

    def on_patient(self, caller: Caller, patient: str, needed: Role, operation: str) -> Allowed:
        """Return the patient if the caller's grants allow `needed`.

        Raises NotFound without a grant, NotPermitted with a lesser one; the log takes either attempt.
        """
        with self._desk.registry.reading() as tx:
            allowed = self.find(tx, caller, patient)
        return self.require(caller, patient, allowed, needed, operation)

    def require(self, caller: Caller, patient: str, allowed: Allowed | None, needed: Role, operation: str) -> Allowed:
        """Return what `find` found if it allows `needed`; raises like `on_patient`. Not inside a transaction."""
        if allowed is not None and allows(allowed.role, needed):
            return allowed
        entry = AccessRefused(vault=self._desk.vault, doctor=caller.id, patient=patient, operation=operation)
        self._desk.committer.commit(LogOnly(entry))
        if allowed is None:
            raise NotFound("there is no such patient, or you hold no grant on them")
        raise NotPermitted(f"this needs the role {needed}; yours is {allowed.role}")

    def find(self, tx: Connection, caller: Caller, patient: str) -> Allowed | None:
        """Return the patient with the best role that a chain of grants proves for the caller, or None."""
        row = self._desk.registry.patients.find(tx, patient)
        if row is None or row.erased_at is not None:
            return None
        held = {}
        for grant in self._desk.registry.grants.in_force(tx, patient, caller.id, self._desk.seconds()):
            role = self._role(tx, caller, grant)
            if role is not None:
                held[role] = grant.id
        best = next((role for role in _ROLES if role in held), None)
        return None if best is None else Allowed(row, best, held[best])

    def verified(self, grant: Grant) -> VerifiedGrant:
        """Return a stored grant, proven by its author's signatures at its log time. Raises NotVerified."""
        return self._verified_grant(grant.statement, grant.log_index)

    def _active(
        self, tx: Connection, sha256: str, role: Literal["doctor-tls", "doctor-signing", "admin-tls"] = "doctor-signing"
    ) -> CertificateRow:
        row = self._desk.registry.certificates.find(tx, sha256)
        if row is None or row.role != role or not row.is_active(self._desk.seconds()):
            raise NotAuthenticated("this certificate is not active: revoked, ended, or issued for something else")
        return row

    def _role(self, tx: Connection, caller: Caller, grant: Grant) -> Role | None:
        chain = self._desk.registry.grants.chain(tx, grant)
        if any(each.ended_at is not None for each in chain):
            return None
        doctor = caller.doctor
        try:
            verified = [self.verified(each) for each in chain]
            return verify_grant_chain(verified, doctor.id, doctor.key, grant.patient, self._desk.now())
        except NotVerified:
            return None

    def _find_caller(self, tls_certificate: str, _epoch: int) -> Caller:
        rows = self._desk.registry
        with rows.reading() as tx:
            tls = self._active(tx, tls_certificate, "doctor-tls")
            signing = self._active(tx, rows.enrolled_keys.signing_certificate(tx, tls.sha256))
            owner = rows.doctors.find(tx, tls.owner)
        if owner is None or owner.status != "active" or signing.owner != tls.owner:
            raise NotAuthenticated("this certificate is not an active doctor's")
        pair = CertificatePair(signing=signing.der, tls=tls.der)
        try:
            return Caller(verify_doctor(pair, self._desk.trust, self._desk.now()), pair)
        except NotVerified as error:
            raise NotAuthenticated(f"the certificates on file do not hold: {error}") from None

    def _verify_grant(self, statement: bytes, log_index: int) -> VerifiedGrant:
        # Its author's certificates have to hold at the grant's log time, not today.
        with self._desk.registry.reading() as tx:
            (logged,) = self._desk.registry.log.entries(tx, after=log_index - 1, limit=1)
        grant = canonical.decode(statement, SignedGrant, limit=SIGNED_GRANT_BYTES)
        return verify_grant(grant, self._desk.trust, dt.datetime.fromtimestamp(logged.time, dt.UTC))
