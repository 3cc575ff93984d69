"""What a vault says of itself, verified down from the two pinned roots (GET /v1/vault, docs/spec/http.md)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from vaultq_client.revocations import with_revocations
from vaultq_client.transport import Transport, decode_body
from vaultq_core.crypto.chains import Trust, TrustAnchors, verify_issuing_cas
from vaultq_core.crypto.checkpoints import Checkpoint, verify_checkpoint
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.statements import verify_vault_statement
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import der, load_certificate
from vaultq_core.errors import NotVerified
from vaultq_core.wire import paths
from vaultq_core.wire.api import Consistency, Roots, VaultInfo
from vaultq_core.wire.limits import NOTE_BYTES, VAULT_INFO_BYTES
from vaultq_core.wire.statements import VaultStatement

_ROOTS_REMEDY = (
    "Compare the fingerprints with those from your administrator. If they were copied right, "
    "somebody stands between you and the vault: enrol nowhere and say so by phone."
)


@dataclass(frozen=True, slots=True)
class Pins:
    """SHA-256 over the DER of the hospital's two roots, 64 hex digits each; they come on paper or by phone."""

    hospital: str
    pq: str


@dataclass(frozen=True, slots=True)
class VaultView:
    """A vault as it may be used: whom to trust, what to seal to, and where its log stands."""

    info: VaultInfo
    trust: Trust
    statement: VaultStatement
    checkpoint: Checkpoint


def verify_roots(roots: Roots, pins: Pins) -> TrustAnchors:
    """Prove that these are the pinned roots.

    1. The hospital root has its fingerprint.
    2. The post-quantum root has its fingerprint.

    Returns both. Raises NotVerified, naming the step.
    """
    if sha256_hex(roots.hospital) != pins.hospital:  # 1
        raise NotVerified("the hospital root is not the one that was named", step=1, remedy=_ROOTS_REMEDY)
    if sha256_hex(roots.pq) != pins.pq:  # 2
        raise NotVerified("the post-quantum root is not the one that was named", step=2, remedy=_ROOTS_REMEDY)
    return TrustAnchors(load_certificate(roots.hospital), load_certificate(roots.pq))


def verify_vault(info: VaultInfo, anchors: TrustAnchors, *, at: dt.datetime, lowest_version: int) -> VaultView:
    """Prove what a vault says of itself.

    1. It names the pinned roots, and so this vault.
    2. The issuing CAs, present and former, stand under them.
    3. The revocation lists are theirs and have not ended.
    4. The vault statement is signed by both present CAs, has not ended, and is none older than `lowest_version`.
    5. The checkpoint is signed by the statement's log keys.

    Returns what may be used. Raises NotVerified, naming the step; CannotVerify for what has ended.
    """
    named = (info.vault, info.roots.hospital, info.roots.pq)
    if named != (anchors.vault, der(anchors.hospital), der(anchors.pq)):  # 1
        raise NotVerified("this is another vault than the one you enrolled in", step=1)
    issuing = info.issuing
    with step(2, "the issuing CAs"):
        trust = verify_issuing_cas(
            anchors,
            pq=issuing.pq,
            doctors=issuing.doctors,
            servers=issuing.servers,
            former=info.former,
            at=at,
        )
    with step(3, "the revocation lists"):
        trust = with_revocations(trust, info.crls, at)
    with step(4, "the vault statement"):
        statement = verify_vault_statement(info.statement, trust, at=at, lowest_version=lowest_version)
    with step(5, "the checkpoint"):
        checkpoint = verify_checkpoint(info.checkpoint, statement.log)
    return VaultView(info, trust, statement, checkpoint)


def fetch_info(transport: Transport) -> VaultInfo:
    """Return what the vault says, unverified. Raises CannotConnect, Malformed, …."""
    return decode_body(transport.get(paths.VAULT, limit=VAULT_INFO_BYTES), VaultInfo)


def fetch_consistency(transport: Transport, first: int, second: int) -> Consistency:
    """Return the vault's proof that its log of `second` entries begins with that of `first`, unverified."""
    query = {"first": first, "second": second}
    return decode_body(transport.get(paths.CONSISTENCY, limit=NOTE_BYTES, query=query), Consistency)
