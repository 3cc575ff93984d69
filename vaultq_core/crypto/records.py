"""A record's signed manifest, and the hash under which a stored object stands (docs/spec/manifest.md)."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from vaultq_core.crypto import signatures
from vaultq_core.crypto.chains import Trust, VerifiedDoctor, verify_doctor
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.keys import SigningKeys
from vaultq_core.crypto.payload import HEAD_BYTES
from vaultq_core.crypto.steps import step
from vaultq_core.errors import Malformed, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.manifest import CertificatePair, Manifest, SignedManifest, decode_manifest
from vaultq_core.wire.suite import require_readable


@dataclass(frozen=True, slots=True)
class VerifiedManifest:
    """A manifest that its author's both keys signed; `hash` is SHA-256 over its exact bytes."""

    manifest: Manifest
    hash: str
    author: VerifiedDoctor


def sign_manifest(manifest: Manifest, keys: SigningKeys, certificates: CertificatePair) -> SignedManifest:
    """Return the manifest's canonical bytes, signed."""
    data = canonical.encode(manifest)
    return SignedManifest(
        manifest=data, signatures=signatures.sign_both(keys, data, signatures.RECORD), certificates=certificates
    )


def verify_manifest(
    signed: SignedManifest, trust: Trust, at: dt.datetime, *, author: VerifiedDoctor | None = None
) -> VerifiedManifest:
    """Prove who signed a record; `at` is the log time, or now before the log has it.

    `author` is a doctor whose certificates were verified for this `at` already; if the manifest comes with
    these very certificates, they are not verified again.

    1. The manifest is canonical, of a readable suite and of this vault.
    2. The two certificates hold together (`verify_doctor`), and are the ones that the manifest names.
    3. They name the manifest's author.
    4. Both signatures cover the manifest's exact bytes.

    Returns manifest, hash and author. Raises NotVerified, naming the step.
    """
    with step(1):
        manifest = decode_manifest(signed.manifest)
        require_readable(manifest.suite)
        if manifest.vault != trust.anchors.vault:
            raise NotVerified("the record is another vault's")
    with step(2, "the author's certificates"):
        if author is None or not _has_pair(author, signed.certificates):
            author = verify_doctor(signed.certificates, trust, at)
        named = (manifest.signing_certificate, manifest.tls_certificate)
        if named != (author.signing_certificate, author.tls_certificate):
            raise NotVerified("the manifest names other certificates")
    if author.id != manifest.author:
        raise NotVerified("the manifest names another author than its certificates", step=3)
    with step(4):
        signatures.verify_both(author.keys, signed.signatures, signed.manifest, signatures.RECORD)
    return VerifiedManifest(manifest, sha256_hex(signed.manifest), author)


def record_hash(header: bytes, sealed_manifest: bytes, payload_head: bytes) -> str:
    """Return SHA-256(magic ‖ length ‖ header ‖ sealed manifest ‖ payload salt ‖ commitment), hex.

    `header` is the object's start up to and with its JSON, `sealed_manifest` the Cobblestone message
    behind its length, `payload_head` the content's first 56 bytes. Raises Malformed for another length.
    """
    if len(payload_head) != HEAD_BYTES:
        raise Malformed(f"a payload begins with {HEAD_BYTES} bytes of salt and commitment")
    return hashlib.sha256(header + sealed_manifest + payload_head).hexdigest()


def _has_pair(doctor: VerifiedDoctor, pair: CertificatePair) -> bool:
    hashes = (sha256_hex(pair.signing), sha256_hex(pair.tls))
    return hashes == (doctor.signing_certificate, doctor.tls_certificate)
