"""Which keys were certified for which doctor, by the hash of the ML-DSA-65 signing key that grants name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.people import enrolled_keys as keys
from vaultq_core.registry.tables.people import former_pairs as pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledKey:
    """A doctor's signing key (SHA-256 of its SubjectPublicKeyInfo) and his newest two certificates (SHA-256 of DER)."""

    signing_key_hash: str
    doctor: str
    signing_certificate: str
    tls_certificate: str
    issued_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerPair:
    """Two certificates over an enrolled key that were renewed; each counts on while its own row says so."""

    tls_certificate: str
    signing_certificate: str
    signing_key_hash: str
    renewed: int


class EnrolledKeys:
    """Every key that was ever certified; a doctor's key is enrolled once, and may be certified again."""

    def __init__(self) -> None:
        self._rows = Rows(keys, EnrolledKey, "enrolled key")
        self._former = Rows(pairs, FormerPair, "former certificate pair")

    def add(self, tx: Connection, key: EnrolledKey) -> None:
        """Add the key. Raises Conflict when the key or a certificate is known already."""
        self._rows.insert(tx, key)

    def get(self, tx: Connection, signing_key_hash: str) -> EnrolledKey:
        """Return the key. Raises NotFound."""
        return self._rows.get(tx, signing_key_hash)

    def renew(
        self, tx: Connection, key: EnrolledKey, *, signing_certificate: str, tls_certificate: str, now: int
    ) -> EnrolledKey:
        """Put a newer pair on file; the one before is kept. Raises Conflict when somebody else renewed it."""
        former = FormerPair(
            tls_certificate=key.tls_certificate,
            signing_certificate=key.signing_certificate,
            signing_key_hash=key.signing_key_hash,
            renewed=now,
        )
        renewed = self._rows.change(
            tx, key, signing_certificate=signing_certificate, tls_certificate=tls_certificate, issued_at=now
        )
        self._former.insert(tx, former)
        return renewed

    def signing_certificate(self, tx: Connection, tls_certificate: str) -> str:
        """Return the signing certificate of a pair, the newest or a former one, by its TLS one. Raises NotFound."""
        former = self._former.find(tx, tls_certificate)
        if former is not None:
            return former.signing_certificate
        return self._rows.only(tx, keys.c.tls_certificate == tls_certificate).signing_certificate

    def pairs(self, tx: Connection, key: EnrolledKey) -> tuple[tuple[str, str], ...]:
        """Return every pair of certificates (signing, TLS) over a key, newest first."""
        order = pairs.c.renewed.desc()
        former = self._former.every(tx, pairs.c.signing_key_hash == key.signing_key_hash, order=order)
        newest = (key.signing_certificate, key.tls_certificate)
        return (newest, *((each.signing_certificate, each.tls_certificate) for each in former))

    def of_doctor(self, tx: Connection, doctor: str) -> tuple[EnrolledKey, ...]:
        """Return the doctor's keys, newest first."""
        return self._rows.every(tx, keys.c.doctor == doctor, order=keys.c.issued_at.desc())
