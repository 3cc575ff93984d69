"""A patient's records, each verified, and none left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vaultq_client.proofs import moment
from vaultq_client.results import ListedRecord
from vaultq_client.session import Session
from vaultq_core.crypto.chains import Trust
from vaultq_core.crypto.records import verify_manifest
from vaultq_core.errors import NotFound, NotVerified
from vaultq_core.wire.ids import PatientId, parse
from vaultq_core.wire.limits import PAGE_ITEMS
from vaultq_core.wire.manifest import Replaces
from vaultq_core.wire.sealed_request import RecordList, RecordRow, Records

_OMISSION_REMEDY = (
    "The vault leaves out a record, or its database was damaged. Do not rely on this list; tell your administrator."
)


def list_records(session: Session, patient: str) -> tuple[ListedRecord, ...]:
    """Return all records of a patient in the order of their counter. Raises NotVerified, also for one left out."""
    known = parse(patient, PatientId, "patient id")
    records = tuple(_verified(each, known, session.view.trust) for each in _rows(session, known))
    replaced_by = {each.replaces: each.record for each in records if each.replaces is not None}
    return tuple(replace(each, replaced_by=replaced_by.get(each.record)) for each in records)


def to_replace(session: Session, patient: str, record: str, reason: str) -> Replaces:
    """Return what a manifest says of the record that it corrects. Raises NotFound."""
    for each in list_records(session, patient):
        if each.record == record:
            return Replaces(record=record, manifest=each.manifest, reason=reason)
    raise NotFound("the patient has no such record to replace")


@dataclass(slots=True)
class _Pages:
    """Counts through the pages: each row's counter follows the one before, up to the same total."""

    counter: int = 0
    total: int | None = None

    def take(self, page: Records) -> None:
        for row in page.records:
            if row.counter != self.counter + 1:
                raise _omission(f"record {self.counter + 1} is missing from the list")
            self.counter += 1
        if self.total is not None and page.total < self.total:
            raise _omission("the list became shorter while it was read")
        self.total = page.total
        if self.counter > self.total or (not page.records and self.counter < self.total):
            raise _omission(f"the vault lists {self.counter} records, but counts {self.total}")

    @property
    def at_end(self) -> bool:
        return self.counter == self.total


def _rows(session: Session, patient: str) -> Iterator[RecordRow]:
    pages = _Pages()
    while not pages.at_end:
        page = session.ask(RecordList(patient=patient, after=pages.counter, limit=PAGE_ITEMS), Records)
        pages.take(page)
        yield from page.records


def _omission(what: str) -> NotVerified:
    return NotVerified(what, remedy=_OMISSION_REMEDY)


def _verified(row: RecordRow, patient: str, trust: Trust) -> ListedRecord:
    proven = verify_manifest(row.signed, trust, moment(row.time))
    manifest, content = proven.manifest, proven.manifest.content
    if manifest.patient != patient:
        raise NotVerified("the vault listed another patient's record")
    return ListedRecord(
        record=manifest.record,
        counter=row.counter,
        index=row.index,
        time=row.time,
        author=proven.author.id,
        author_name=proven.author.name,
        title=manifest.title,
        kind=manifest.kind,
        media_type=content.media_type,
        name=content.name,
        length=content.length,
        manifest=proven.hash,
        replaces=manifest.replaces.record if manifest.replaces else None,
        replaced_by=None,
        doubtful=proven.author.doubtful,
        damaged=row.damaged,
    )
