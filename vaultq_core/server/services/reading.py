"""Reading: one record with its content, or a patient's records in the order of their counter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from vaultq_core.crypto.objects import ExpectedObject, OpenedObject, open_object, open_sealed_manifest
from vaultq_core.errors import (
    KeyNotFound,
    Malformed,
    NotFound,
    NotVerified,
    ObjectMissing,
    RecordDamaged,
)
from vaultq_core.registry.records import RecordRow
from vaultq_core.server.services.access import Access, Allowed, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.patient_keys import PatientKey
from vaultq_core.server.services.units import LogOnly
from vaultq_core.wire import sealed_request as wire
from vaultq_core.wire.entries import RecordRead
from vaultq_core.wire.frame import ObjectHeader
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.proof import encode_receipt
from vaultq_core.wire.suite import VQ_65


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record's head, and its content as authenticated chunks."""

    head: wire.RecordHead
    content: Iterator[bytes] = field(repr=False)


class Reading:
    """Hands out what a doctor may read. Every read is in the log before its first byte leaves."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def get(self, caller: Caller, operation: wire.RecordGet) -> FoundRecord:
        """Return a record. Raises NotFound, RecordDamaged (also while the content is read), or Unavailable."""
        row, allowed = self._find(caller, operation.record)
        opened = self._open(row, self._desk.patient_keys.open(allowed.patient))
        entry = RecordRead(vault=self._desk.vault, doctor=caller.id, patient=row.patient, record=row.id)
        self._desk.committer.commit(LogOnly(entry))
        with self._desk.registry.reading() as tx:
            receipt = encode_receipt(self._desk.registry.log.receipt(tx, row.log_index))
        return FoundRecord(wire.RecordHead(signed=opened.signed, receipt=receipt), self._watched(row, opened.content))

    def of_patient(self, caller: Caller, operation: wire.RecordList) -> wire.Records:
        """Return a page of a patient's records; each manifest is opened from its row, no object is read."""
        allowed = self._access.on_patient(caller, operation.patient, "read", "ls")
        with self._desk.registry.reading() as tx:
            found = self._desk.registry.records.of_patient(
                tx, operation.patient, after=operation.after, limit=operation.limit
            )
        key = self._desk.patient_keys.open(allowed.patient)
        # A record may have come between the two readings: the total counts what is listed.
        total = max([allowed.patient.record_counter, *(row.counter for row in found)])
        return wire.Records(records=tuple(self._row(row, key) for row in found), total=total)

    def _find(self, caller: Caller, record: str) -> tuple[RecordRow, Allowed]:
        with self._desk.registry.reading() as tx:
            row = self._desk.registry.records.find(tx, record)
        # A record without a grant is told in the very words of one that does not exist.
        with suppress(NotFound):
            if row is not None:
                return row, self._access.on_patient(caller, row.patient, "read", "get")
        raise NotFound("there is no such record, or you hold no grant on its patient")

    def _open(self, row: RecordRow, key: PatientKey) -> OpenedObject:
        try:
            stream = ByteStream(self._desk.storage.open(row.object_name))
            return open_object(stream, ExpectedObject(_header(self._desk.vault, row), row.record_hash), _dek(row, key))
        except (Malformed, NotVerified, ObjectMissing) as error:
            raise self._damaged(row, error) from None

    def _watched(self, row: RecordRow, content: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from content
        except (Malformed, NotVerified, ObjectMissing) as error:
            raise self._damaged(row, error) from None

    def _damaged(self, row: RecordRow, error: Exception) -> RecordDamaged:
        with self._desk.registry.writing() as tx:
            self._desk.registry.records.mark_damaged(tx, row.id, self._desk.seconds())
        return RecordDamaged(f"record {row.id} is not what was stored: {error}")

    def _row(self, row: RecordRow, key: PatientKey) -> wire.RecordRow:
        try:
            signed = open_sealed_manifest(_header(self._desk.vault, row), row.sealed_manifest, _dek(row, key))
        except (Malformed, NotVerified) as error:
            raise self._damaged(row, error) from None
        return wire.RecordRow(
            signed=signed,
            counter=row.counter,
            index=row.log_index,
            time=row.stored_at,
            record_hash=row.record_hash,
            damaged=row.damaged_at is not None,
        )


def _dek(row: RecordRow, key: PatientKey) -> bytes:
    if row.wrapped_dek is None:
        raise KeyNotFound(f"the key of record {row.id} was erased")
    return key.unwrap_dek(row.id, row.wrapped_dek)


def _header(vault: str, row: RecordRow) -> ObjectHeader:
    return ObjectHeader(suite=VQ_65, vault=vault, patient=row.patient, record=row.id, manifest=row.manifest_hash)
