"""Certificate authorities: the two roots, and the four issuing CAs (docs/spec/certificates.md).

hospital root (ECDSA P-384) → doctors, admins, servers CA (P-384); PQ root (ML-DSA-87) → PQ issuing CA
(ML-DSA-65). Keys are passed in as objects that sign, so they may live in a token.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509

from vaultq_core.crypto.keys import IssuerKey, PublicKey
from vaultq_core.crypto.x509_profile import (
    ISSUING_LIFETIME,
    ROOT_LIFETIME,
    base_builder,
    common_name,
    hash_for,
    key_usage,
)


def issue_root(name: str, key: IssuerKey, now: dt.datetime) -> x509.Certificate:
    """Return a self-signed root, path length 1, 20 years."""
    builder = base_builder(common_name(name), _public(key), None, now=now, lifetime=ROOT_LIFETIME)
    return _sign_ca(builder, key, path_length=1)


def issue_issuing_ca(
    name: str, public_key: PublicKey, root: x509.Certificate, root_key: IssuerKey, now: dt.datetime
) -> x509.Certificate:
    """Return an issuing CA under `root`, path length 0, 10 years."""
    builder = base_builder(common_name(name), public_key, root, now=now, lifetime=ISSUING_LIFETIME)
    return _sign_ca(builder, root_key, path_length=0)


def _sign_ca(builder: x509.CertificateBuilder, key: IssuerKey, *, path_length: int) -> x509.Certificate:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(ca=True), critical=True)
        .sign(key, hash_for(key))
    )


def _public(key: IssuerKey) -> PublicKey:
    return key.public_key()
