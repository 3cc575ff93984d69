"""A record's evidence for people without a server: all that `vaultq verify` needs beside the two roots.

docs/spec/bundle.md. The content lies beside it in a file of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vaultq_core.wire import canonical
from vaultq_core.wire.api import CertificateDer, CrlDer
from vaultq_core.wire.limits import CRL_BYTES, PROOF_BYTES
from vaultq_core.wire.manifest import SignedManifest
from vaultq_core.wire.statements import SignedVaultStatement

BUNDLE_BYTES = 4 * CRL_BYTES


class BundleCas(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The issuing CAs on the paths to the roots, DER."""

    pq: CertificateDer
    doctors: CertificateDer
    servers: CertificateDer


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Signed manifest, receipt and everything between them and the two roots."""

    type: Literal["vaultq/bundle/v1"] = "vaultq/bundle/v1"
    signed: SignedManifest
    receipt: Annotated[str, msgspec.Meta(max_length=PROOF_BYTES)]
    statement: SignedVaultStatement
    issuing: BundleCas
    crls: Annotated[tuple[CrlDer, ...], msgspec.Meta(max_length=4)]


def decode_bundle(data: bytes) -> Bundle:
    """Return the bundle. Raises Malformed or LimitExceeded."""
    return canonical.decode(data, Bundle, limit=BUNDLE_BYTES)
