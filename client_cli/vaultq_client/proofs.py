"""What a record's signatures and receipt prove, together (docs/spec/receipt.md, docs/spec/manifest.md)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from vaultq_core.crypto.chains import Trust, VerifiedDoctor
from vaultq_core.crypto.receipts import LogPosition, verify_record_receipt
from vaultq_core.crypto.records import verify_manifest
from vaultq_core.crypto.steps import step
from vaultq_core.wire.manifest import Manifest, SignedManifest, decode_manifest
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.statements import LogKeys


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record whose author and place in the log are proven; its content is another matter."""

    manifest: Manifest
    hash: str
    author: VerifiedDoctor
    position: LogPosition


def verify_logged_record(signed: SignedManifest, receipt: str, trust: Trust, log: LogKeys) -> ProvenRecord:
    """Prove who signed a record and that the log holds it.

    1. The log holds an entry about this very manifest (`verify_record_receipt`).
    2. Its author's certificates and signatures held at the entry's log time (`verify_manifest`).

    Returns both. Raises NotVerified, naming the step.
    """
    with step(1, "the receipt"):
        manifest = decode_manifest(signed.manifest)
        position = verify_record_receipt(decode_receipt(receipt), manifest, signed.manifest, log)
    with step(2, "the manifest"):
        verified = verify_manifest(signed, trust, moment(position.time))
    return ProvenRecord(manifest, verified.hash, verified.author, position)


def moment(time: int) -> dt.datetime:
    """Return POSIX seconds as a time, UTC."""
    return dt.datetime.fromtimestamp(time, dt.UTC)
