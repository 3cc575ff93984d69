"""Bundles on disk: a record's evidence, made from what the vault handed over and this client has verified."""

from __future__ import annotations

from pathlib import Path

from vaultq_client.revocations import crls_of
from vaultq_client.vault_view import VaultView
from vaultq_core.crypto.chains import doctors_ca_of
from vaultq_core.crypto.x509_profile import der, load_certificate
from vaultq_core.private_files import file_errors
from vaultq_core.wire import canonical
from vaultq_core.wire.bundle import BUNDLE_BYTES, Bundle, BundleCas, decode_bundle
from vaultq_core.wire.manifest import SignedManifest


def make_bundle(signed: SignedManifest, receipt: str, view: VaultView) -> bytes:
    """Return the bundle's bytes: all between the record and the two roots, with the newest revocation lists.

    Of the doctors CAs, present and former, it holds the one that issued the author's certificate.
    """
    issuing, doctors = view.info.issuing, doctors_ca_of(load_certificate(signed.certificates.tls), view.trust)
    bundle = Bundle(
        signed=signed,
        receipt=receipt,
        statement=view.info.statement,
        issuing=BundleCas(pq=issuing.pq, doctors=der(doctors), servers=issuing.servers),
        crls=crls_of((view.trust.pq, doctors), view.info.crls),
    )
    return canonical.encode(bundle)


def read_bundle(path: Path) -> Bundle:
    """Return a bundle from a file, unverified. Raises NotFound, Malformed, LimitExceeded."""
    with file_errors(path), path.open("rb") as file:
        data = file.read(BUNDLE_BYTES + 1)
    return decode_bundle(data)
