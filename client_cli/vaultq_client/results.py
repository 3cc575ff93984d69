"""What the client's operations return: plain values, for a program as for `--json`. Times are POSIX seconds."""

from __future__ import annotations

from dataclasses import dataclass

from vaultq_core.wire.sealed_request import Demographics
from vaultq_core.wire.statements import Role


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """An identity, as its own file tells it; the vault was not asked."""

    doctor: str
    name: str
    vault: str
    records_address: str
    certified_until: int
    hospital_root_sha256: str
    pq_root_sha256: str
    uploads_waiting: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that the log holds, proven by its receipt; `counter` numbers the patient's records from 1."""

    record: str
    patient: str
    title: str
    sha256: str
    counter: int
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """One verified row of a patient's records. `doubtful`: the author's key may have been in other hands."""

    record: str
    counter: int
    index: int
    time: int
    author: str
    author_name: str
    title: str
    kind: str
    media_type: str
    name: str
    length: int
    manifest: str
    replaces: str | None
    replaced_by: str | None
    doubtful: bool
    damaged: bool


@dataclass(frozen=True, slots=True)
class FetchedRecord:
    """A record whose content lies at `path`, whole and proven; `bundle` is where its evidence lies, if asked for."""

    path: str
    bundle: str | None
    record: str
    patient: str
    author: str
    author_name: str
    title: str
    sha256: str
    length: int
    index: int
    time: int
    doubtful: bool


@dataclass(frozen=True, slots=True)
class ListedPatient:
    """A patient as this doctor may see them; `records` is how many there are."""

    patient: str
    demographics: Demographics
    role: Role
    records: int


@dataclass(frozen=True, slots=True)
class AddedPatient:
    """A patient whose founding is in the log."""

    patient: str
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A grant that holds now, proven up to the patient's founder."""

    grant: str
    doctor: str
    role: Role
    author: str
    author_name: str
    created: int
    until: int | None


@dataclass(frozen=True, slots=True)
class GivenGrant:
    """A grant that is in the log."""

    grant: str
    patient: str
    doctor: str
    doctor_name: str
    role: Role
    until: int | None
    index: int
    time: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """What became of one upload that had no receipt: stored now, or still waiting because of `problem`."""

    record: str
    path: str
    stored: StoredRecord | None
    problem: str | None
    remedy: str | None
