"""Which keys were certified for which doctor, by the hash of the ML-DSA-65 signing key that grants name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.people import enrolled_keys as keys


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledKey:
    """A doctor's signing key (SHA-256 of its SubjectPublicKeyInfo) and his two certificates (SHA-256 of DER)."""

    signing_key_hash: str
    doctor: str
    signing_certificate: str
    tls_certificate: str
    issued_at: int


class EnrolledKeys:
    """Every key that was ever certified; a key is certified once."""

    def __init__(self) -> None:
        self._rows = Rows(keys, EnrolledKey, "enrolled key")

    def add(self, tx: Connection, key: EnrolledKey) -> None:
        """Add the key. Raises Conflict when the key or a certificate is known already."""
        self._rows.insert(tx, key)

    def get(self, tx: Connection, signing_key_hash: str) -> EnrolledKey:
        """Return the key. Raises NotFound."""
        return self._rows.get(tx, signing_key_hash)

    def by_tls_certificate(self, tx: Connection, sha256: str) -> EnrolledKey:
        """Return the keys of whoever holds the TLS certificate. Raises NotFound."""
        return self._rows.only(tx, keys.c.tls_certificate == sha256)

    def of_doctor(self, tx: Connection, doctor: str) -> tuple[EnrolledKey, ...]:
        """Return the doctor's keys, newest first."""
        return self._rows.every(tx, keys.c.doctor == doctor, order=keys.c.issued_at.desc())
