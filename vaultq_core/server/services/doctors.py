"""Doctors, as administrators manage them: provision, compare words, issue, reject, revoke."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from vaultq_core.crypto.enrolment import verify_enrolment
from vaultq_core.crypto.issuing import issue_doctor_pair
from vaultq_core.errors import Conflict, Malformed, Unavailable
from vaultq_core.registry.doctors import Doctor
from vaultq_core.registry.enrolments import Enrolment
from vaultq_core.registry.passwords import OneTimePassword
from vaultq_core.server.logs import logger
from vaultq_core.server.services.crls import CrlPublisher
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctor_units import Issue, Provision, Reject, Revoke
from vaultq_core.server.services.enrolments import hash_password
from vaultq_core.wire import api, canonical
from vaultq_core.wire.limits import PAGE_ITEMS, SIGNED_MANIFEST_BYTES
from vaultq_core.wire.statements import EnrolmentRequest

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
ID_CHARS: Final = 10
PASSWORD_GROUPS: Final = 4  # of 4 characters: 80 bits
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a new doctor has to be told: listeners as `host:port`, and both roots' SHA-256."""

    enrolment: str
    records: str
    hospital_root: str
    pq_root: str


class DoctorsOffice:
    """What administrators do with doctors. Every change stands in the log with who did it."""

    def __init__(self, desk: Desk, crls: CrlPublisher, addresses: Addresses) -> None:
        self._desk = desk
        self._crls = crls
        self._addresses = addresses

    def provision(self, administrator: str, new: api.DoctorNew) -> api.DoctorProvision:
        """Make a doctor's id and one-time password. The password is returned this once and kept as a hash."""
        doctor, password = f"dr-{_random(ID_CHARS)}", "-".join(_random(4) for _ in range(PASSWORD_GROUPS))
        expires = self._desk.seconds() + self._desk.limits.password_hours * _HOUR
        one_time = OneTimePassword(
            doctor=doctor,
            hash=hash_password(password),
            expires=expires,
            attempts_left=self._desk.limits.password_attempts,
        )
        self._desk.committer.commit(Provision(self._desk, administrator, new.name, one_time))
        return api.DoctorProvision(
            doctor=doctor,
            name=new.name,
            password=password,
            expires=expires,
            enrolment_address=self._addresses.enrolment,
            records_address=self._addresses.records,
            hospital_root_sha256=self._addresses.hospital_root,
            pq_root_sha256=self._addresses.pq_root,
        )

    def page(self, after: str, limit: int) -> api.Doctors:
        """Return at most `limit` doctors by id, from the one after `after`."""
        with self._desk.registry.reading() as tx:
            found = self._desk.registry.doctors.page(tx, after=after, limit=limit)
            rows = tuple(self._row(tx, doctor) for doctor in found)
        return api.Doctors(doctors=rows, next=rows[-1].doctor if len(rows) == limit else None)

    def pending(self) -> api.Doctors:
        """Return the doctors whose proven keys wait for a decision, with the words to compare by phone."""
        with self._desk.registry.reading() as tx:
            waiting = self._desk.registry.enrolments.page(tx, "pending", limit=PAGE_ITEMS)
            rows = tuple(self._row(tx, self._desk.registry.doctors.get(tx, each.doctor), each) for each in waiting)
        return api.Doctors(doctors=rows)

    def issue(self, administrator: str, doctor: str, body: api.DoctorIssue) -> api.Change:
        """Issue both certificates for the keys whose words were compared.

        Raises Conflict when nothing waits, or other keys wait than the ones with these words.
        """
        with self._desk.registry.reading() as tx:
            waiting = self._desk.registry.enrolments.pending(tx, doctor)
            name = self._desk.registry.doctors.get(tx, doctor).name
        if waiting.words != " ".join(body.words) or waiting.request is None:
            raise Conflict("the words differ from those of the keys that wait", remedy="Reject, and tell the doctor.")
        request = canonical.decode(waiting.request, EnrolmentRequest, limit=SIGNED_MANIFEST_BYTES)
        proven = verify_enrolment(request, vault=self._desk.vault, doctor=doctor, nonce=waiting.nonce)
        desk, doctors = self._desk, self._desk.authorities.issuer("doctors")
        pair = issue_doctor_pair(
            doctor, name, proven.signing, proven.tls, pq=desk.keys.pq, doctors=doctors, now=desk.now()
        )
        return self._commit(Issue(desk, administrator, waiting, proven, pair, doctors.certificate))

    def reject(self, administrator: str, doctor: str) -> api.Change:
        """Refuse the keys that wait. Raises Conflict when none do."""
        with self._desk.registry.reading() as tx:
            waiting = self._desk.registry.enrolments.pending(tx, doctor)
        return self._commit(Reject(self._desk, administrator, waiting))

    def revoke(self, administrator: str, doctor: str, body: api.DoctorRevoke) -> api.Change:
        """End a doctor's certificates now: the log and the registry say so when this returns, and every worker asks it.

        So do the CRLs, unless they cannot be signed now: then maintenance does it as soon as it can, and the caller
        is not told to try again what is done. Raises NotFound, or Conflict when there is nothing to revoke.
        """
        if body.compromised_since is not None and body.compromised_since > self._desk.seconds():
            raise Malformed("a key cannot be compromised in the future")
        change = self._commit(Revoke(self._desk, administrator, doctor, body))
        try:
            self._crls.publish()
        except Unavailable as error:
            logger("doctors").error("lists-delayed", code=error.code, detail=str(error), remedy=error.remedy)
        return change

    def _commit(self, unit: Provision | Issue | Reject | Revoke) -> api.Change:
        committed = self._desk.committer.commit(unit)
        return api.Change(index=committed.receipts[0].index, time=committed.time)

    def _row(self, tx: Connection, doctor: Doctor, waiting: Enrolment | None = None) -> api.DoctorRow:
        active = [each.not_after for each in self._desk.registry.certificates.of_owner(tx, doctor.id)
                  if each.status == "active"]  # fmt: skip
        return api.DoctorRow(
            doctor=doctor.id,
            name=doctor.name,
            status=doctor.status,
            created=doctor.created,
            not_after=max(active, default=None),
            words=tuple((waiting.words or "").split()) if waiting else (),
        )


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
