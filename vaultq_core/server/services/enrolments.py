"""Enrolment, the server's side: id and one-time password, then proofs, then waiting (docs/spec/enrolment.md)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import bcrypt
from sqlalchemy import Connection

from vaultq_core.crypto.enrolment import ProvenKeys, verify_enrolment
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import Conflict, NotAuthenticated, NotFound, TooManyRequests, WrongPassword
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.enrolments import Enrolment
from vaultq_core.server.services.desk import Desk
from vaultq_core.wire import canonical
from vaultq_core.wire.api import EnrolmentOpened, EnrolmentOpening, EnrolmentState
from vaultq_core.wire.entries import EnrolmentReceived, LogEntry
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.statements import EnrolmentRequest
from vaultq_core.words import fingerprint_words

SECRET_BYTES: Final = 32
OPEN_SECONDS: Final = 24 * 3600  # from the password to the proofs; a client takes one second
BCRYPT_COST: Final = 12  # about 0.2 s a try
_WINDOW_SECONDS: Final = 60


def hash_password(password: str) -> bytes:
    """Return the bcrypt hash of a one-time password (at most 64 characters of ASCII; bcrypt reads 72 bytes)."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST))


class Enrolments:
    """What a doctor's client does before it has a certificate."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def open(self, opening: EnrolmentOpening) -> EnrolmentOpened:
        """Open an enrolment for whoever knows id and one-time password; repeatable until proofs arrive.

        1. The listener's rate limit is not used up.
        2. A try is taken, and committed, before bcrypt is computed; without one left, or for an unknown
           id, bcrypt is computed all the same.
        3. The password matches.

        Raises TooManyRequests, WrongPassword, or Conflict while proofs wait for a decision.
        """
        desk, doctor, now = self._desk, opening.doctor, self._desk.seconds()
        with desk.registry.writing() as tx:
            if desk.registry.rates.hit(tx, "enrolments", now=now, seconds=_WINDOW_SECONDS) > self._hits_per_window:  # 1
                raise TooManyRequests("too many enrolments are tried now", retry_after=_WINDOW_SECONDS)
            hashed = desk.registry.passwords.take_attempt(tx, doctor, now)  # 2
        matches = bcrypt.checkpw(opening.password.encode(), hashed or _nobodys_hash())
        if hashed is None or not matches:  # 3
            raise WrongPassword("id and one-time password do not belong together, or the password is spent or expired")
        return self._opened(doctor, hashed, now)

    def submit(self, doctor: str, secret: bytes, request: EnrolmentRequest) -> EnrolmentState:
        """Take the proofs of an open enrolment, and end its password. The same proofs again are no error.

        Raises NotAuthenticated for another secret, NotVerified for proofs that do not hold, Conflict when
        other proofs were taken before.
        """
        enrolment = self._find(doctor, secret)
        statement_hash = sha256_hex(request.statement)
        if enrolment.state == "open":
            proven = verify_enrolment(request, vault=self._desk.vault, doctor=doctor, nonce=enrolment.nonce)
            self._desk.committer.commit(ReceiveProofs(self._desk, enrolment, proven, canonical.encode(request)))
        elif enrolment.statement_hash != statement_hash:
            raise Conflict("other keys were received for this enrolment")
        return self.state(doctor, secret)

    def state(self, doctor: str, secret: bytes) -> EnrolmentState:
        """Return where an enrolment stands, with the certificates once they are issued. Raises NotAuthenticated."""
        enrolment = self._find(doctor, secret)
        if enrolment.state != "issued" or enrolment.request is None:
            return EnrolmentState(state=enrolment.state)
        rows = self._desk.registry
        with self._desk.registry.reading() as tx:
            key = rows.enrolled_keys.of_doctor(tx, doctor)[0]
            signing = rows.certificates.get(tx, key.signing_certificate).der
            tls = rows.certificates.get(tx, key.tls_certificate).der
        return EnrolmentState(state="issued", certificates=CertificatePair(signing=signing, tls=tls))

    @property
    def _hits_per_window(self) -> int:
        return self._desk.limits.enrolment_attempts_per_minute

    def _opened(self, doctor: str, hashed: bytes, now: int) -> EnrolmentOpened:
        secret, nonce = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SECRET_BYTES)
        rows, expires = self._desk.registry, now + OPEN_SECONDS
        enrolment = Enrolment(
            secret_hash=sha256_hex(secret), doctor=doctor, nonce=nonce, state="open", created=now, expires=expires
        )
        with self._desk.registry.writing() as tx:
            rows.passwords.give_back(tx, doctor, hashed)
            rows.enrolments.open(tx, enrolment)
            name = rows.doctors.get(tx, doctor).name
        return EnrolmentOpened(secret=secret, nonce=nonce, name=name, expires=expires)

    def _find(self, doctor: str, secret: bytes) -> Enrolment:
        try:
            with self._desk.registry.reading() as tx:
                return self._desk.registry.enrolments.by_secret(tx, doctor, sha256_hex(secret))
        except NotFound:
            raise NotAuthenticated("no enrolment of this doctor has this secret") from None


@dataclass(frozen=True, slots=True)
class ReceiveProofs:
    """The unit that takes proven keys: password spent, enrolment pending, doctor pending, log entry."""

    desk: Desk
    enrolment: Enrolment
    proven: ProvenKeys
    request: bytes = field(repr=False)
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when the enrolment or the password is over."""
        rows, doctor, statement = self.desk.registry, self.enrolment.doctor, self.proven.statement
        rows.passwords.spend(tx, doctor, turn.time)
        rows.enrolments.receive(
            tx,
            self.enrolment,
            request=self.request,
            statement_hash=sha256_hex(statement),
            words=" ".join(fingerprint_words(statement)),
            now=turn.time,
        )
        rows.doctors.move(tx, doctor, "pending")
        return (EnrolmentReceived(vault=self.desk.vault, doctor=doctor, statement=sha256_hex(statement)),)


@cache
def _nobodys_hash() -> bytes:
    return hash_password(secrets.token_urlsafe(SECRET_BYTES))
