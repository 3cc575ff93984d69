"""Fetching a record: nothing has its name on this disk before all of it is proven."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from vaultq_client.bundles import make_bundle
from vaultq_client.destination import new_file, require_absent, write_all
from vaultq_client.proofs import ProvenRecord, verify_logged_record
from vaultq_client.results import FetchedRecord
from vaultq_client.session import Session
from vaultq_client.source_file import Progress
from vaultq_core.crypto.frames import exact_content
from vaultq_core.errors import NotVerified
from vaultq_core.wire.ids import RecordId, parse
from vaultq_core.wire.sealed_request import RecordGet, RecordHead


def fetch(
    session: Session, record: str, path: Path, *, bundle: Path | None, replace: bool, receiving: Progress
) -> FetchedRecord:
    """Put a record's content at `path`, and its evidence at `bundle`.

    1. The log holds the record; 2. its author's certificates and signatures held at log time
       (`verify_logged_record`); it is the record that was asked for, in the log that was seen.
    3. The content has the length and SHA-256 that were signed.

    Raises Conflict when something is there and `replace` isn't set, NotVerified, RecordDamaged, NotFound.
    """
    if not replace:
        for each in (path, bundle):
            _ = each and require_absent(each)
    operation = RecordGet(record=parse(record, RecordId, "record id"))
    with session.ask_for_content(operation, RecordHead) as (head, content), ExitStack() as files:
        proven = _prove(session, record, head)  # 1 2
        file = files.enter_context(new_file(path, replace=replace))
        if bundle is not None:
            evidence = files.enter_context(new_file(bundle, replace=replace))
            write_all(evidence, bundle, make_bundle(head.signed, head.receipt, session.view))
        done = 0
        for chunk in exact_content(content, proven.manifest.content, number=3):  # 3
            write_all(file, path, chunk)
            done += len(chunk)
            receiving(done, proven.manifest.content.length)
    return _fetched(proven, path, bundle)


def _prove(session: Session, record: str, head: RecordHead) -> ProvenRecord:
    view = session.view
    proven = verify_logged_record(head.signed, head.receipt, view.trust, view.statement.log)
    if proven.manifest.record != record:
        raise NotVerified("the vault answered with another record")
    session.watch(proven.position.checkpoint)
    return proven


def _fetched(proven: ProvenRecord, path: Path, bundle: Path | None) -> FetchedRecord:
    manifest = proven.manifest
    return FetchedRecord(
        path=str(path),
        bundle=None if bundle is None else str(bundle),
        record=manifest.record,
        patient=manifest.patient,
        author=proven.author.id,
        author_name=proven.author.name,
        title=manifest.title,
        sha256=manifest.content.sha256,
        length=manifest.content.length,
        index=proven.position.index,
        time=proven.position.time,
        doubtful=proven.author.doubtful,
    )
