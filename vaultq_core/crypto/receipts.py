"""Receipts, verified: the log holds this entry, and the entry speaks of this record (docs/spec/receipt.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vaultq_core.crypto.checkpoints import Checkpoint, verify_checkpoint
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.merkle import leaf_hash, verify_inclusion
from vaultq_core.crypto.steps import step
from vaultq_core.errors import NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import LogEntry, RecordStored
from vaultq_core.wire.limits import ENTRY_BYTES
from vaultq_core.wire.manifest import Manifest
from vaultq_core.wire.proof import Receipt
from vaultq_core.wire.statements import LogKeys


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where and when (log time, POSIX seconds) the log took an entry, and the checkpoint that proves it."""

    index: int
    time: int
    entry: LogEntry
    checkpoint: Checkpoint


def leaf_data(entry: bytes, salt: bytes) -> bytes:
    """Return what a leaf holds: SHA-256 over the 32-byte salt and the entry's exact bytes."""
    return hashlib.sha256(salt + entry).digest()


def verify_receipt(receipt: Receipt, log: LogKeys) -> LogPosition:
    """Prove that the log holds an entry (RFC 6962, 2.1; C2SP tlog-proof).

    1. Both log signatures cover the checkpoint.
    2. The leaf is recomputed from the entry and its salt, and the path leads from it to the root.
    3. The entry is one that this version knows, and not younger than its checkpoint.

    Returns the entry with its position. Raises NotVerified, naming the step.
    """
    with step(1, "the checkpoint"):
        checkpoint = verify_checkpoint(receipt.checkpoint, log)
    with step(2, "the inclusion proof"):
        leaf = leaf_hash(leaf_data(receipt.logged.entry, receipt.logged.salt))
        verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.path, checkpoint.root)
    with step(3):
        entry: LogEntry = canonical.decode(receipt.logged.entry, LogEntry, limit=ENTRY_BYTES)
    if entry.time > checkpoint.time:
        raise NotVerified("the entry is younger than its checkpoint", step=3)
    return LogPosition(receipt.index, entry.time, entry, checkpoint)


def verify_record_receipt(
    receipt: Receipt, manifest: Manifest, manifest_bytes: bytes, log: LogKeys, *, record_hash: str | None = None
) -> LogPosition:
    """Prove that the log holds this record.

    1. to 3. As `verify_receipt`.
    4. The entry speaks of this manifest: vault, record, patient, author, hash; and of this record hash,
       where the caller knows one.

    Returns the entry with its position. Raises NotVerified, naming the step.
    """
    position = verify_receipt(receipt, log)  # 1 2 3
    entry = position.entry
    if not isinstance(entry, RecordStored):
        raise NotVerified("the entry is not about a stored record", step=4)
    said = (entry.vault, entry.record, entry.patient, entry.author, entry.manifest)
    meant = (manifest.vault, manifest.record, manifest.patient, manifest.author, sha256_hex(manifest_bytes))
    if said != meant or record_hash not in {None, entry.record_hash}:  # 4
        raise NotVerified("the entry is about another record", step=4)
    return position
