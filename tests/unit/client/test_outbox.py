from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.hospital import Doctor, Hospital, seed
from vaultq_client.outbox import Outbox, OutboxEntry
from vaultq_core.errors import Conflict, NotFound, NotVerified

KEY, OTHER_KEY = seed("outbox"), seed("other outbox")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    tmp_path.chmod(0o700)
    return Outbox(tmp_path, KEY)


@pytest.fixture(scope="module")
def entry(hospital: Hospital, ada: Doctor) -> OutboxEntry:
    signed = hospital.signed_manifest(ada, b"content")
    return OutboxEntry(signed=signed, dek=seed("dek"), place=b"/home/ada/scan.pdf", size=7, modified=1)


@pytest.fixture(scope="module")
def record(entry: OutboxEntry) -> str:
    return entry.manifest().record


def test_an_entry_comes_back_until_it_is_removed(outbox: Outbox, entry: OutboxEntry, record: str) -> None:
    outbox.add(entry)
    assert (outbox.records(), outbox.get(record)) == ((record,), entry)

    outbox.remove(record)
    outbox.remove(record)
    assert outbox.records() == ()
    with pytest.raises(NotFound):
        outbox.get(record)


def test_an_entry_is_sealed_and_private(outbox: Outbox, entry: OutboxEntry, tmp_path: Path) -> None:
    outbox.add(entry)
    [file] = tmp_path.iterdir()

    assert file.stat().st_mode & 0o777 == 0o600
    assert not any(each in file.read_bytes() for each in (entry.dek, b"scan.pdf", b"vaultq", b"Frau"))
    assert entry.dek.hex() not in repr(entry)
    assert "scan" not in repr(entry)


def test_another_identitys_entry_does_not_open(outbox: Outbox, entry: OutboxEntry, record: str, tmp_path: Path) -> None:
    outbox.add(entry)

    with pytest.raises(NotVerified):
        Outbox(tmp_path, OTHER_KEY).get(record)


def test_an_entry_under_another_records_name_does_not_open(
    outbox: Outbox, entry: OutboxEntry, record: str, tmp_path: Path
) -> None:
    outbox.add(entry)
    other = "00000000-0000-4000-8000-000000000000"
    (tmp_path / f"{record}.sealed").rename(tmp_path / f"{other}.sealed")

    with pytest.raises(NotVerified):
        outbox.get(other)


def test_a_record_has_one_entry(outbox: Outbox, entry: OutboxEntry) -> None:
    outbox.add(entry)

    with pytest.raises(Conflict):
        outbox.add(entry)


def test_other_files_are_no_entries(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / ".x.sealed.0011.part").touch()
    (tmp_path / "README").touch()

    assert outbox.records() == ()
