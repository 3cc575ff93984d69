"""Sending what the outbox holds, the first time and again, and proving what the vault answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vaultq_client.outbox import Outbox, OutboxEntry
from vaultq_client.results import StoredRecord
from vaultq_client.session import Session
from vaultq_client.source_file import Progress, holds_still, signed_chunks
from vaultq_client.transport import Body
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.frames import frame_length, seal_content, seal_frame_head
from vaultq_core.crypto.receipts import verify_record_receipt
from vaultq_core.errors import Conflict, NotFound, NotVerified
from vaultq_core.wire import paths
from vaultq_core.wire.entries import RecordStored
from vaultq_core.wire.limits import PROOF_BYTES
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.sealed_request import RecordGet, RecordHead

NamedProgress = Callable[[str, int, int], None]
"""Told a path, and how many bytes of how many are done."""


def send(session: Session, entry: OutboxEntry, sending: Progress) -> str:
    """Seal an entry's file to the vault and send it; return the receipt's text, unverified.

    Raises Conflict when the file is not what was signed, and what the vault says.
    """
    manifest, digest = entry.manifest(), sha256_hex(entry.signed.manifest)
    head = seal_frame_head(entry.signed, session.view.statement, entry.dek)
    length = frame_length(head, manifest.content.length)

    def frame() -> Body:
        content = signed_chunks(Path(entry.path), manifest.content, sending)
        return Body(paths.FRAME_TYPE, _joined(head, seal_content(entry.dek, manifest.suite, digest, content)), length)

    vault = session.transport
    return vault.again(lambda: vault.upload(paths.RECORDS, frame(), limit=PROOF_BYTES)).decode(errors="replace")


def accept(session: Session, outbox: Outbox, entry: OutboxEntry, receipt: str) -> StoredRecord:
    """Report a record as stored: its receipt is proven, and its log is the one that was seen.

    Only then does the outbox forget it. Raises NotVerified, and the outbox keeps it.
    """
    manifest, log = entry.manifest(), session.view.statement.log
    position = verify_record_receipt(decode_receipt(receipt), manifest, entry.signed.manifest, log)
    stored = position.entry
    if not isinstance(stored, RecordStored):
        raise NotVerified("the receipt is not about a stored record")
    session.watch(position.checkpoint)
    outbox.remove(manifest.record)
    return StoredRecord(
        record=manifest.record,
        patient=manifest.patient,
        title=manifest.title,
        sha256=manifest.content.sha256,
        counter=stored.counter,
        index=position.index,
        time=position.time,
    )


def deliver_again(session: Session, outbox: Outbox, entry: OutboxEntry, sending: NamedProgress) -> StoredRecord:
    """Send an entry once more; where its file is gone, ask for the receipt. Raises Conflict when there is neither."""
    content, path = entry.manifest().content, Path(entry.path)
    try:
        still = holds_still(path, content, size=entry.size, modified=entry.modified)
    except NotFound:
        still = False
    if not still:
        return accept(session, outbox, entry, _receipt_of(session, entry))
    return accept(session, outbox, entry, send(session, entry, lambda done, total: sending(entry.path, done, total)))


def _receipt_of(session: Session, entry: OutboxEntry) -> str:
    """Return the receipt of an upload that arrived, though its answer did not, and whose file is gone now."""
    try:
        with session.ask_for_content(RecordGet(record=entry.manifest().record), RecordHead) as (head, _):
            return head.receipt
    except NotFound:
        raise Conflict(
            f"{entry.path} is gone or changed, and the vault does not have the record",
            remedy="Put the file back as it was, or give the upload up with `vaultq resume --discard RECORD`.",
        ) from None


def _joined(head: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from content
