"""A stored object changed on disk: nothing unauthenticated is handed out, and the record is marked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, until
from tests.fixtures.forging import Forger
from vaultq_client.results import StoredRecord
from vaultq_client.transport import Body
from vaultq_core.crypto.frames import exact_content
from vaultq_core.crypto.payload import HEAD_BYTES
from vaultq_core.crypto.requests import open_answer
from vaultq_core.errors import NotVerified, RecordDamaged, Unavailable, VaultQError
from vaultq_core.wire import paths
from vaultq_core.wire.frame import OBJECT_MAGIC
from vaultq_core.wire.limits import KIB
from vaultq_core.wire.manifest import decode_manifest
from vaultq_core.wire.sealed_request import RecordGet, RecordHead

CONTENT = bytes(range(256)) * 64 * 40  # 40 chunks of 16 KiB
CHUNK = 16 * KIB + 16


@pytest.fixture
def stored(ada: EnrolledDoctor) -> StoredRecord:
    return ada.put(ada.new_patient(), CONTENT)


def header_end(data: bytes) -> int:
    start = len(OBJECT_MAGIC) + 4
    return start + int.from_bytes(data[len(OBJECT_MAGIC) : start], "big")


def payload_start(data: bytes) -> int:
    at = header_end(data)
    return at + 4 + int.from_bytes(data[at : at + 4], "big")


def _flip(place: Callable[[bytes], int]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = place(data)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return change


EARLY: dict[str, Callable[[bytes], bytes]] = {
    "magic": _flip(lambda _: 3),
    "header-length": _flip(lambda _: len(OBJECT_MAGIC) + 3),
    "header": _flip(lambda data: header_end(data) - 10),
    "manifest-length": _flip(lambda data: header_end(data) + 3),
    "sealed-manifest": _flip(lambda data: header_end(data) + 200),
    "salt": _flip(lambda data: payload_start(data) + 5),
    "commitment": _flip(lambda data: payload_start(data) + 30),
    "first-chunk": _flip(lambda data: payload_start(data) + HEAD_BYTES + 5),
    "tag-of-the-first-chunk": _flip(lambda data: payload_start(data) + HEAD_BYTES + CHUNK - 1),
    "first-two-chunks-swapped": lambda data: _swapped(data, 0, 1),
    "truncated-in-the-header": lambda data: data[:40],
    "truncated-in-the-manifest": lambda data: data[: header_end(data) + 100],
    "truncated-after-the-head": lambda data: data[: payload_start(data) + HEAD_BYTES],
    "empty": lambda _: b"",
}
LATE: dict[str, Callable[[bytes], bytes]] = {
    "later-chunk": _flip(lambda data: payload_start(data) + HEAD_BYTES + 30 * CHUNK + 5),
    "last-byte": _flip(lambda data: len(data) - 1),
    "truncated": lambda data: data[:-CHUNK],
    "truncated-at-a-chunk": lambda data: data[: payload_start(data) + HEAD_BYTES + 30 * CHUNK],
    "extended": lambda data: data + b"x",
    "extended-by-a-chunk": lambda data: data + data[-CHUNK:],
    "later-chunks-swapped": lambda data: _swapped(data, 30, 31),
}


def _swapped(data: bytes, one: int, other: int) -> bytes:
    start = payload_start(data) + HEAD_BYTES
    first, second = (data[start + each * CHUNK : start + (each + 1) * CHUNK] for each in (one, other))
    return data[: start + one * CHUNK] + second + first + data[start + (other + 1) * CHUNK :]


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    after = change(before)
    assert after != before
    path.chmod(0o600)
    path.write_bytes(after)


def is_marked(vault: Vault, record: str) -> bool:
    return vault.value("SELECT damaged_at FROM records WHERE id = ?", record) is not None


@pytest.mark.parametrize("where", EARLY)
def test_damage_up_to_the_first_chunk_is_told_as_record_damaged(
    vault: Vault, ada: EnrolledDoctor, stored: StoredRecord, where: str
) -> None:
    damage(vault.object_of(stored.record), EARLY[where])
    log, forger = vault.log_size(), Forger(vault, ada)

    answer = forger.send(forger.request(RecordGet(record=stored.record))[0])
    with pytest.raises(RecordDamaged):
        ada.client.get(stored.record, ada.destination)

    assert (answer.status, answer.code) == (500, "record-damaged")
    assert not ada.destination.exists()
    assert is_marked(vault, stored.record)
    assert vault.log_size() == log, "a read that handed out nothing stands in the log as a read"


@pytest.mark.parametrize("where", LATE)
def test_later_damage_breaks_the_stream_off_and_the_destination_stays_absent(
    vault: Vault, ada: EnrolledDoctor, stored: StoredRecord, where: str
) -> None:
    damage(vault.object_of(stored.record), LATE[where])

    with pytest.raises(VaultQError) as caught:
        ada.client.get(stored.record, ada.destination)

    assert isinstance(caught.value, RecordDamaged | Unavailable | NotVerified)
    assert not ada.destination.exists()
    assert [path.name for path in ada.home.iterdir() if path.name.endswith(".part")] == []
    until(lambda: is_marked(vault, stored.record), "the row is marked")


def test_a_missing_object_is_told_as_record_damaged(vault: Vault, ada: EnrolledDoctor, stored: StoredRecord) -> None:
    vault.object_of(stored.record).unlink()

    with pytest.raises(RecordDamaged):
        ada.client.get(stored.record, ada.destination)

    assert not ada.destination.exists()
    assert is_marked(vault, stored.record)


@pytest.mark.parametrize("patient_of", ["same", "other"])
def test_objects_swapped_on_disk(vault: Vault, ada: EnrolledDoctor, stored: StoredRecord, patient_of: str) -> None:
    patient = stored.patient if patient_of == "same" else ada.new_patient()
    other = ada.put(patient, bytes(reversed(CONTENT)))
    mine, theirs = vault.object_of(stored.record), vault.object_of(other.record)
    first, second = mine.read_bytes(), theirs.read_bytes()
    damage(mine, lambda _: second)
    damage(theirs, lambda _: first)

    for record in (stored.record, other.record):
        with pytest.raises(RecordDamaged):
            ada.client.get(record, ada.destination)
        assert is_marked(vault, record)
    assert not ada.destination.exists()


def test_a_link_in_an_objects_place_is_not_followed(
    vault: Vault, ada: EnrolledDoctor, stored: StoredRecord, tmp_path: Path
) -> None:
    path = vault.object_of(stored.record)
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)

    with pytest.raises(VaultQError):
        ada.client.get(stored.record, ada.destination)

    assert not ada.destination.exists()
    path.unlink()
    moved.rename(path)
    assert ada.get(stored.record) == CONTENT


def test_no_byte_behind_the_damage_leaves_the_server(vault: Vault, ada: EnrolledDoctor, stored: StoredRecord) -> None:
    """What did arrive is a beginning of the content, and never passes for all of it."""
    damage(vault.object_of(stored.record), LATE["later-chunk"])
    forger, got = Forger(vault, ada), bytearray()
    body, key = forger.request(RecordGet(record=stored.record))

    def read_to_the_end() -> None:
        with ada.client.session.transport.ask(paths.REQUESTS, Body.of(body, paths.REQUEST_TYPE)) as chunks:
            head, content = open_answer(key, chunks, RecordHead)
            for chunk in exact_content(content, decode_manifest(head.signed.manifest).content, number=1):
                got.extend(chunk)

    with pytest.raises(VaultQError):
        read_to_the_end()

    assert CONTENT.startswith(bytes(got))
    assert len(got) <= 30 * 16 * KIB


def test_a_damaged_record_is_shown_as_such_and_its_neighbours_are_not_touched(
    vault: Vault, ada: EnrolledDoctor, stored: StoredRecord
) -> None:
    neighbour = ada.put(stored.patient, b"whole")
    damage(vault.object_of(stored.record), EARLY["first-chunk"])
    with pytest.raises(RecordDamaged):
        ada.client.get(stored.record, ada.destination)

    listed = {each.record: each.damaged for each in ada.client.records(stored.patient)}

    assert listed == {stored.record: True, neighbour.record: False}
    assert ada.get(neighbour.record) == b"whole"
