"""The issuing CAs as the registry has them now: a worker asks, since they may be replaced while it serves.

What was read is kept until the epoch changes, which every replacement raises; keys are looked for each time they
sign, since they may move from one keystore to another meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.chains import Trust, TrustAnchors, verify_hospital_ca, verify_issuing_cas
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.x509_profile import certificate_hash, der, load_certificate
from vaultq_core.errors import Conflict, KeyNotFound, KeystoreUnavailable
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.vault import FormerCa, IssuingCa
from vaultq_core.spi.keystore import EC_P384, KeyId, Keystore
from vaultq_core.wire.api import IssuingCas, Roots
from vaultq_core.wire.entries import ReplaceableCa

ROLES: Final[tuple[ReplaceableCa, ...]] = ("doctors", "admins", "servers")
ROOT_CA: Final = "root-ca"


@dataclass(frozen=True, slots=True)
class Former:
    """A CA that was replaced: its row, and its certificate, verified under the root."""

    row: FormerCa
    certificate: x509.Certificate

    @property
    def is_open(self) -> bool:
        """Whether what it issued is still let in, and it signs revocation lists."""
        return self.row.closed is None


@dataclass(frozen=True, slots=True)
class Cas:
    """All issuing CAs, verified under the two roots."""

    rows: Mapping[str, IssuingCa]
    present: Mapping[ReplaceableCa, x509.Certificate]
    former: tuple[Former, ...]
    trust: Trust

    @property
    def issuing(self) -> IssuingCas:
        """The present ones as clients are told."""
        rows = self.rows
        return IssuingCas(
            pq=rows["pq"].der, doctors=rows["doctors"].der, admins=rows["admins"].der, servers=rows["servers"].der
        )

    def open(self, role: ReplaceableCa) -> tuple[x509.Certificate, ...]:
        """Return the CAs of a role whose certificates are let in: the present one, then former ones."""
        former = (each.certificate for each in self.former if each.row.role == role and each.is_open)
        return (self.present[role], *former)

    def known(self) -> tuple[tuple[ReplaceableCa, x509.Certificate], ...]:
        """Return every CA that is present or open, with its role."""
        return tuple((role, each) for role in ROLES for each in self.open(role))

    def closed(self) -> tuple[tuple[ReplaceableCa, x509.Certificate], ...]:
        """Return every CA that was closed, with its role."""
        return tuple((each.row.role, each.certificate) for each in self.former if not each.is_open)


class Authorities:
    """The registry's issuing CAs, and those of their keys that this worker's keystore holds."""

    def __init__(self, registry: Registry, keystore: Keystore, roots: Roots, now: Callable[[], dt.datetime]) -> None:
        self._registry = registry
        self._keystore = keystore
        self._anchors = TrustAnchors(load_certificate(roots.hospital), load_certificate(roots.pq))
        self._now = now
        self._read: tuple[int, Cas] | None = None

    @property
    def hospital_root(self) -> x509.Certificate:
        """The root that all replaceable CAs stand under."""
        return self._anchors.hospital

    def present(self) -> Cas:
        """Return the CAs of this moment. Raises NotVerified for rows that do not lead to the roots."""
        with self._registry.reading() as tx:
            return self.read(tx)

    def read(self, tx: Connection) -> Cas:
        """Return the CAs as a transaction that only reads sees them."""
        epoch, known = self._registry.epoch.value(tx), self._read
        if known is not None and known[0] == epoch:
            return known[1]
        cas = self._verified(self._registry.vault.issuing_cas(tx), self._registry.vault.former_cas(tx))
        self._read = epoch, cas
        return cas

    def issuer(self, role: ReplaceableCa) -> Issuer:
        """Return the present CA of a role, ready to sign. Raises KeystoreUnavailable when its key is elsewhere."""
        try:
            return self.signing(role, self.present().present[role])
        except KeyNotFound as error:
            raise KeystoreUnavailable(str(error), remedy=error.remedy) from None

    def signing(self, role: ReplaceableCa, certificate: x509.Certificate) -> Issuer:
        """Return a CA, ready to sign. Raises KeyNotFound when its key is in no keystore of this worker."""
        return issuer_of(self._keystore, f"{role}-ca", certificate)

    def require_present(self, tx: Connection, role: ReplaceableCa, certificate: x509.Certificate) -> None:
        """Refuse what a CA signed that was replaced meanwhile. Raises Conflict."""
        # Not by `read`: what a transaction sees that is not committed yet must not be kept.
        if self._registry.vault.issuing_cas(tx)[role].der != der(certificate):
            raise Conflict(f"the {role} CA was replaced meanwhile", remedy="Do it again; the new one then signs.")

    def _verified(self, rows: Mapping[str, IssuingCa], former: tuple[FormerCa, ...]) -> Cas:
        root, trusted = self._anchors.hospital, [each.der for each in former if each.role == "doctors"]
        trust = verify_issuing_cas(
            self._anchors,
            pq=rows["pq"].der,
            doctors=rows["doctors"].der,
            servers=rows["servers"].der,
            former=trusted,
            at=self._now(),
        )
        present = {role: verify_hospital_ca(rows[role].der, root) for role in ROLES}
        return Cas(rows, present, tuple(Former(each, verify_hospital_ca(each.der, root)) for each in former), trust)


def issuer_of(keystore: Keystore, purpose: str, certificate: x509.Certificate) -> Issuer:
    """Return a CA with the key that its certificate names. Raises KeyNotFound when the keystore lacks it."""
    return Issuer(certificate, keystore.signer(key_of(keystore, purpose, certificate)))


def key_of(keystore: Keystore, purpose: str, certificate: x509.Certificate) -> KeyId:
    """Return that key of `purpose` which a certificate names; a newer one may not be certified yet.

    Raises KeyNotFound when the keystore lacks it, KeystoreError.
    """
    held = [each.key_id for each in keystore.info().keys if each.key_id.purpose == purpose]
    for key_id in sorted((each for each in held if each.algorithm == EC_P384), reverse=True):
        with suppress(KeyNotFound):  # destroyed since
            if keystore.signer(key_id).public_key() == certificate.public_key():
                return key_id
    raise KeyNotFound(
        f"the keystore holds no key {purpose} of the certificate {certificate_hash(certificate)[:16]}…",
        remedy="Check [keystore] and [next_keystore]: is it this vault's? See `vaultq-server issuing-cas status`.",
    )
