"""The doctor's client as a library: what `vaultq` does, in the order it does it (docs/architecture.md)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from vaultq_client.downloads import fetch
from vaultq_client.grants import give_grant, list_grants
from vaultq_client.home import Home
from vaultq_client.identity import Identity, load_identity
from vaultq_client.listings import list_records, to_replace
from vaultq_client.manifests import RecordDetails, build_manifest
from vaultq_client.outbox import Outbox, OutboxEntry
from vaultq_client.patients import add_patient, find_patient, list_patients
from vaultq_client.renewal import renew
from vaultq_client.results import (
    AddedPatient,
    FetchedRecord,
    GivenGrant,
    ListedGrant,
    ListedPatient,
    ListedRecord,
    Resumed,
    StoredRecord,
    WhoAmI,
)
from vaultq_client.session import Clock, Session, system_clock
from vaultq_client.source_file import Progress, examine, no_progress
from vaultq_client.uploads import NamedProgress, accept, deliver_again, send
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.payload import DEK_BYTES
from vaultq_core.crypto.records import sign_manifest
from vaultq_core.crypto.x509_profile import der, load_certificate
from vaultq_core.errors import (
    Conflict,
    Malformed,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    NotVerified,
    VaultQError,
)
from vaultq_core.wire.manifest import Replaces
from vaultq_core.wire.sealed_request import Demographics, RecordNumber
from vaultq_core.wire.statements import Role

_REFUSALS = (Malformed, NotVerified, NotAuthenticated, NotPermitted, NotFound, Conflict)
"""What a vault says when it has not taken an upload and will not take the same one later."""


class Client:
    """One doctor at one vault. Every error is a VaultQError; close it, or use it with `with`."""

    def __init__(self, home: Home, identity: Identity, *, now: Clock = system_clock) -> None:
        """Take an identity that is open already; `now` gives the time, UTC."""
        self.identity = identity
        self.session = Session(home, identity, now)
        self.outbox = Outbox(home.outbox, identity.outbox_key)

    @classmethod
    def open(cls, home: Path, passphrase: str, *, now: Clock = system_clock) -> Self:
        """Open the identity that lies in `home`. Raises IdentityInvalid, WrongPassphrase, InsecureFile."""
        place = Home(home)
        return cls(place, load_identity(place, passphrase), now=now)

    def whoami(self) -> WhoAmI:
        """Return what the identity says of itself; nothing is sent."""
        me = self.identity
        certificates = [load_certificate(each) for each in (me.certificates.signing, me.certificates.tls)]
        return WhoAmI(
            doctor=me.doctor,
            name=me.name,
            vault=me.anchors.vault,
            records_address=me.records_address,
            certified_until=int(min(each.not_valid_after_utc for each in certificates).timestamp()),
            hospital_root_sha256=sha256_hex(der(me.anchors.hospital)),
            pq_root_sha256=sha256_hex(der(me.anchors.pq)),
            uploads_waiting=len(self.outbox.records()),
        )

    # --- records ----------------------------------------------------------------------------------

    def put(
        self, path: Path, details: RecordDetails, *, hashing: Progress = no_progress, sending: Progress = no_progress
    ) -> StoredRecord:
        """Sign a file, seal it to the vault, send it, and return once its receipt is proven.

        From before the first byte leaves until then, the outbox holds what `resume` needs. Raises
        Conflict when the file changes meanwhile, NotVerified when the receipt does not hold.
        """
        view = self.session.view
        source = examine(path, hashing)
        created = int(self.session.now().timestamp())
        seen = self.session.watch(view.checkpoint).checkpoint()
        manifest = build_manifest(self.identity, source, details, created=created, seen=seen)
        signed = sign_manifest(manifest, self.identity.keys.signing, self.identity.certificates)
        dek = secrets.token_bytes(DEK_BYTES)
        place = os.fsencode(source.path)
        entry = OutboxEntry(signed=signed, dek=dek, place=place, size=source.size, modified=source.modified)
        self.outbox.add(entry)
        try:
            receipt = send(self.session, entry, sending)
        except _REFUSALS:
            self.outbox.remove(manifest.record)  # the vault has it not, and never will
            raise
        return accept(self.session, self.outbox, entry, receipt)

    def replacing(self, patient: str, record: str, reason: str) -> Replaces:
        """Return what `RecordDetails` needs to correct a record. Raises NotFound."""
        return to_replace(self.session, patient, record, reason)

    def resume(self, *, sending: NamedProgress = lambda *_: None) -> Iterator[Resumed]:
        """Send again what has no receipt; yields what became of each. `sending` is told path, bytes, of how many."""
        for record in self.outbox.records():
            entry: OutboxEntry | None = None
            try:
                entry = self.outbox.get(record)
                stored = deliver_again(self.session, self.outbox, entry, sending)
                yield Resumed(record, entry.path, stored, None, None)
            except VaultQError as error:
                yield Resumed(record, entry.path if entry else "", None, f"{error} [{error.code}]", error.remedy)

    def discard(self, record: str) -> str:
        """Give up an upload that has no receipt; return its id. Raises NotFound."""
        if record not in self.outbox.records():
            raise NotFound("no upload of this record waits", remedy="`vaultq resume` shows those that wait.")
        self.outbox.remove(record)
        return record

    def records(self, patient: str) -> tuple[ListedRecord, ...]:
        """Return all records of a patient, each verified. Raises NotVerified, also when one is left out."""
        return list_records(self.session, patient)

    def get(
        self,
        record: str,
        path: Path,
        *,
        bundle: Path | None = None,
        replace: bool = False,
        receiving: Progress = no_progress,
    ) -> FetchedRecord:
        """Put a record's content at `path` once all of it is proven; on any failure nothing is there.

        `bundle` is where its evidence goes, for `verify` without a server. Raises Conflict when something
        is there and `replace` isn't set, NotVerified, RecordDamaged, NotFound.
        """
        return fetch(self.session, record, path, bundle=bundle, replace=replace, receiving=receiving)

    # --- patients and grants ----------------------------------------------------------------------

    def add_patient(self, demographics: Demographics) -> AddedPatient:
        """Create a patient; this doctor holds the first grant. Raises Conflict for a known record number."""
        return add_patient(self.session, demographics)

    def find_patient(self, number: RecordNumber) -> tuple[ListedPatient, ...]:
        """Return the patient of a record number. Raises NotFound without a grant as without a patient."""
        return find_patient(self.session, number)

    def patients(self) -> Iterator[ListedPatient]:
        """Yield the patients on whom this doctor has a grant."""
        return list_patients(self.session)

    def grant(self, patient: str, doctor: str, role: Role, until: int | None = None) -> GivenGrant:
        """Give a colleague a role. Raises NotPermitted without an own grant, Usage when that ends sooner."""
        return give_grant(self.session, patient, doctor, role, until)

    def grants(self, patient: str) -> tuple[ListedGrant, ...]:
        """Return a patient's grants, each proven up to the founder's. Raises NotVerified."""
        return list_grants(self.session, patient)

    def renew(self, passphrase: str) -> bool:
        """Renew this doctor's certificates if they are due, for the next session; say whether that was done.

        Sends nothing unless this session has spoken with the vault. Raises NotVerified, WrongPassphrase, and what
        the vault says; then the present ones stay.
        """
        return self.session.has_spoken and renew(self.session, passphrase)

    def close(self) -> None:
        """Close the connection."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
