"""Renewal of a doctor's certificates over the same keys, at a contact with the vault (docs/spec/certificates.md)."""

from __future__ import annotations

from dataclasses import replace

from vaultq_client.identity import Identity, load_identity, replace_identity
from vaultq_client.session import Session
from vaultq_core.crypto.chains import verify_doctor
from vaultq_core.crypto.fingerprints import spki
from vaultq_core.crypto.x509_profile import RENEW_BEFORE_END, load_certificate
from vaultq_core.errors import NotVerified
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.sealed_request import CertificatesRenew, Doctor


def renew(session: Session, passphrase: str) -> bool:
    """Get new certificates if they are due, and keep them for the next session; say whether that was done.

    They are due 30 days before their end, or when the vault's doctors CA is another one than the one that issued
    them; seconds after its replacement a vault may still answer with the present ones. Raises NotVerified for
    certificates that are not this doctor's, WrongPassphrase, and what the vault says.
    """
    if not _are_due(session):
        return False
    pair = _verified(session, session.ask(CertificatesRenew(), Doctor).certificates)
    return pair != session.identity.certificates and _keep(session, pair, passphrase)


def _are_due(session: Session) -> bool:
    pair = [
        load_certificate(each) for each in (session.identity.certificates.signing, session.identity.certificates.tls)
    ]
    soon = session.now() + RENEW_BEFORE_END
    return pair[1].issuer != session.view.trust.doctors.subject or any(each.not_valid_after_utc < soon for each in pair)


def _verified(session: Session, pair: CertificatePair) -> CertificatePair:
    """Prove a renewed pair.

    1. Its certificates hold together (`verify_doctor`).
    2. They name this doctor, and all three of the keys that the doctor has.
    """
    me = session.identity
    doctor = verify_doctor(pair, session.view.trust, session.now())  # 1
    tls_key = load_certificate(pair.tls).public_key()
    named = (doctor.id, doctor.name, doctor.key, doctor.keys.ecdsa_p256, tls_key)  # 2
    mine = (me.doctor, me.name, session.key, me.keys.signing.ecdsa_p256.public_key(), me.keys.tls.public_key())
    if named != mine:
        raise NotVerified("the vault answered with certificates for another doctor or other keys", step=2)
    return pair


def _keep(session: Session, pair: CertificatePair, passphrase: str) -> bool:
    """Seal the pair into the identity, unless another process has changed it since it was opened."""
    with session.home.locked():
        stored = load_identity(session.home, passphrase)
        if not _is_same(stored, session.identity):
            return False
        replace_identity(session.home, replace(stored, certificates=pair), passphrase)
    return True


def _is_same(stored: Identity, opened: Identity) -> bool:
    keys = [spki(each.keys.signing.mldsa65.public_key()) for each in (stored, opened)]
    return keys[0] == keys[1] and stored.certificates == opened.certificates
