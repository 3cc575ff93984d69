"""What every storage has to do (vaultq_core.spi.storage), as tests."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from vaultq_core.errors import ObjectExists, ObjectMissing, StorageError, StorageUnavailable
from vaultq_core.spi.names import CHECKPOINTS, RECORDS, ObjectName, checkpoint_name, record_name
from vaultq_core.spi.storage import SMALL_OBJECT_BYTES, Storage, StoredObject
from vaultq_core.spi.testing.at_once import in_processes, in_threads

Reopen = Callable[[], Storage]

MIB = 1024 * 1024
LARGE_BYTES = 256 * MIB
MEMORY_BYTES = 128 * MIB  # what moving a large object may add, some parallel parts of it included
CHUNK_BYTES = 8 * MIB

REFUSED_NAMES = {
    "empty": "",
    "absolute": "/etc/passwd",
    "traversal": "vault/../../../../etc/passwd",
    "traversal within": f"vault/../log/{1:020d}.ckpt",
    "double slash": f"log//{1:020d}.ckpt",
    "dot": f"./log/{1:020d}.ckpt",
    "backslash": f"log\\{1:020d}.ckpt",
    "nul": f"log/{1:020d}.ckpt\0.png",
    "newline": f"log/{1:020d}.ckpt\n",
    "other digits": "log/" + "\u0661" * 20 + ".ckpt",
    "short number": "log/1.ckpt",
    "upper case": str(record_name(str(uuid.uuid4()), str(uuid.uuid4()), "a" * 16)).upper(),
    "other ending": f"log/{1:020d}.exe",
    "over-long": "vault/" + "a" * 5000,
    "directory": "vault/",
    "hidden": "vault/.hidden",
}


class Interruption(Exception):
    """What a caller's chunks raise."""


class StorageContract:
    """Give the fixture `reopen`: a picklable callable that opens one storage, empty at first, anew each time."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        """Open the storage under test; the plug-in's test gives this one."""
        raise TypeError("a contract suite is run through a subclass that has the fixture `reopen`")

    @pytest.fixture
    def storage(self, reopen: Reopen) -> Iterator[Storage]:
        """Give the storage, open and empty."""
        with closing(reopen()) as storage:
            yield storage

    # --- putting and reading ----------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 4096, MIB - 1, MIB, MIB + 1, SMALL_OBJECT_BYTES, 12 * MIB + 7])
    def test_what_is_put_is_read(self, storage: Storage, size: int) -> None:
        name, data = new_name(), secrets.token_bytes(size)

        stored = storage.put_new(name, pieces(data, 300_000))

        assert stored == StoredObject(name, size)
        assert storage.stat(name) == stored
        assert b"".join(storage.open(name)) == data

    def test_a_checkpoint_is_an_object_too(self, storage: Storage) -> None:
        storage.put_new(checkpoint_name(12), [b"note"])

        assert b"".join(storage.open(checkpoint_name(12))) == b"note"

    def test_empty_chunks_change_nothing(self, storage: Storage) -> None:
        name = new_name()

        storage.put_new(name, [b"", b"ab", b"", b"c", b""])

        assert b"".join(storage.open(name)) == b"abc"

    def test_chunks_are_bounded_and_never_empty(self, storage: Storage) -> None:
        name = new_name()
        storage.put_new(name, [bytes(9 * MIB)])

        sizes = [len(chunk) for chunk in storage.open(name)]

        assert sum(sizes) == 9 * MIB
        assert all(1 <= size <= CHUNK_BYTES for size in sizes)

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, 0), (0, 1), (1, 2), (7, None), (999, 1), (999, 50), (1000, 1), (1000, None), (5000, 10), (5000, None)],
    )
    def test_a_range_is_what_the_bytes_have_there(self, storage: Storage, offset: int, length: int | None) -> None:
        name, data = new_name(), secrets.token_bytes(1000)
        storage.put_new(name, [data])

        read = b"".join(storage.open(name, offset=offset, length=length))

        assert read == data[offset : None if length is None else offset + length]

    @pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
    def test_a_negative_range_is_refused(self, storage: Storage, offset: int, length: int) -> None:
        name = new_name()
        storage.put_new(name, [b"abc"])

        with pytest.raises(StorageError):
            storage.open(name, offset=offset, length=length)

    def test_what_is_missing_is_missing_at_once(self, storage: Storage) -> None:
        with pytest.raises(ObjectMissing):
            storage.open(new_name())
        with pytest.raises(ObjectMissing):
            storage.stat(new_name())

    def test_objects_last(self, storage: Storage, reopen: Reopen) -> None:
        name = new_name()
        storage.put_new(name, [b"lasting"])
        storage.close()

        with closing(reopen()) as again:
            assert b"".join(again.open(name)) == b"lasting"

    def test_a_closed_storage_says_so(self, storage: Storage) -> None:
        storage.close()
        storage.close()

        with pytest.raises(StorageUnavailable):
            storage.put_new(new_name(), [b"late"])

    def test_a_large_object_streams_in_bounded_memory(self, storage: Storage, reopen: Reopen) -> None:
        name = new_name()

        [growth] = in_processes(stream_large, [(reopen, name)])

        assert storage.stat(name).size == LARGE_BYTES
        assert growth < MEMORY_BYTES

    # --- all or nothing ---------------------------------------------------------------------------

    @pytest.mark.parametrize("before", [0, 10, 3 * MIB, 20 * MIB])
    def test_chunks_that_raise_leave_no_object(self, storage: Storage, before: int) -> None:
        name = new_name()

        with pytest.raises(Interruption):
            storage.put_new(name, interrupted(before, Interruption()))

        with pytest.raises(ObjectMissing):
            storage.stat(name)
        assert list(storage.list(RECORDS)) == []

    def test_a_callers_own_system_error_comes_out_unchanged(self, storage: Storage) -> None:
        own = ConnectionResetError("the doctor is gone")

        with pytest.raises(ConnectionResetError) as raised:
            storage.put_new(new_name(), interrupted(10, own))

        assert raised.value is own

    def test_a_name_is_free_again_after_a_failure(self, storage: Storage) -> None:
        name = new_name()
        with pytest.raises(Interruption):
            storage.put_new(name, interrupted(10, Interruption()))

        storage.put_new(name, [b"second try"])

        assert b"".join(storage.open(name)) == b"second try"

    def test_an_object_is_not_there_before_its_last_chunk(self, storage: Storage) -> None:
        name = new_name()
        seen: list[list[StoredObject]] = []

        def looking() -> Iterator[bytes]:
            yield bytes(2 * MIB)
            seen.append(list(storage.list(RECORDS)))
            yield b"end"

        storage.put_new(name, looking())

        assert seen == [[]]

    def test_an_object_is_never_written_over(self, storage: Storage) -> None:
        name = new_name()
        storage.put_new(name, [b"first"])

        with pytest.raises(ObjectExists):
            storage.put_new(name, [b"second"])

        assert b"".join(storage.open(name)) == b"first"

    def test_of_sixteen_writers_of_one_name_one_wins(self, storage: Storage) -> None:
        for _ in range(5):
            name = new_name()

            outcomes = in_threads(16, partial(attempt, storage, name))

            winners = [number for number, won in enumerate(outcomes) if won]
            assert len(winners) == 1
            assert b"".join(storage.open(name)) == bytes([winners[0]]) * 1000

    def test_of_four_processes_that_write_one_name_one_wins(self, storage: Storage, reopen: Reopen) -> None:
        name = new_name()

        outcomes = in_processes(attempt_afar, [(reopen, name, number) for number in range(4)])

        assert outcomes.count(True) == 1
        assert b"".join(storage.open(name)) == bytes([outcomes.index(True)]) * 1000

    def test_eight_threads_share_a_storage(self, storage: Storage) -> None:
        def work(_: int) -> bool:
            for size in (1, 5000, 2 * MIB):
                name, data = new_name(), secrets.token_bytes(size)
                storage.put_new(name, [data])
                assert b"".join(storage.open(name)) == data
            gone = new_name()
            storage.put_new(gone, [b"x"])
            storage.delete(gone)
            return True

        assert in_threads(8, work) == [True] * 8
        assert len(list(storage.list(RECORDS))) == 24

    def test_eight_threads_write_for_one_new_patient(self, storage: Storage) -> None:
        patient = str(uuid.uuid4())

        in_threads(8, lambda _: storage.put_new(new_name(patient), [b"x"]))

        assert len(list(storage.list(f"{RECORDS}{patient}/"))) == 8

    # --- listing and deleting ---------------------------------------------------------------------

    def test_a_listing_is_complete_and_in_order(self, storage: Storage) -> None:
        names = [new_name() for _ in range(12)] + [checkpoint_name(size) for size in (3, 20, 100)]
        for name in names:
            storage.put_new(name, [name.encode()])

        for prefix in (RECORDS, CHECKPOINTS):
            expected = [StoredObject(name, len(name)) for name in sorted(names) if name.startswith(prefix)]
            assert list(storage.list(prefix)) == expected

    def test_a_listing_is_of_one_patient_or_one_record(self, storage: Storage) -> None:
        ada, ben, record = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
        mine = sorted([new_name(ada), new_name(ada, record), new_name(ada, record)])
        for name in [*mine, new_name(ben), new_name(ben, record)]:
            storage.put_new(name, [b"x"])

        assert [each.name for each in storage.list(f"{RECORDS}{ada}/")] == mine
        assert [each.name for each in storage.list(f"{RECORDS}{ada}/{record}.")] == [
            name for name in mine if record in name
        ]

    def test_an_empty_storage_lists_nothing(self, storage: Storage) -> None:
        assert list(storage.list(RECORDS)) == []
        assert list(storage.list(f"{RECORDS}{uuid.uuid4()}/")) == []
        assert list(storage.list(CHECKPOINTS)) == []

    def test_what_is_deleted_is_gone_and_deleting_again_is_no_error(self, storage: Storage, reopen: Reopen) -> None:
        name, other = new_name(), new_name()
        storage.put_new(name, [b"x"])
        storage.put_new(other, [b"y"])

        storage.delete(name)
        storage.delete(name)
        storage.delete(new_name())

        with closing(reopen()) as again, pytest.raises(ObjectMissing):
            again.stat(name)
        assert [each.name for each in storage.list(RECORDS)] == [other]

    # --- names ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", REFUSED_NAMES.values(), ids=REFUSED_NAMES.keys())
    def test_a_name_that_cannot_be_is_refused(self, storage: Storage, name: str) -> None:
        with pytest.raises(StorageError):
            storage.put_new(name, [b"x"])
        with pytest.raises(StorageError):
            storage.open(name)
        with pytest.raises(StorageError):
            storage.stat(name)
        with pytest.raises(StorageError):
            storage.delete(name)

    @pytest.mark.parametrize("prefix", ["", "/", "vault", "vault/..", "log/0", "vault/*", "..", "vault/\0", "other/"])
    def test_a_prefix_that_cannot_be_is_refused(self, storage: Storage, prefix: str) -> None:
        with pytest.raises(StorageError):
            storage.list(prefix)


def new_name(patient: str | None = None, record: str | None = None) -> ObjectName:
    """Return a record's name that nothing has."""
    return record_name(patient or str(uuid.uuid4()), record or str(uuid.uuid4()), secrets.token_hex(8))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut bytes into chunks."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def interrupted(size: int, failure: Exception) -> Iterator[bytes]:
    """Yield `size` bytes, then raise."""
    yield from pieces(bytes(size), MIB)
    raise failure


def attempt(storage: Storage, name: str, number: int) -> bool:
    """Tell whether this writer got the name."""
    try:
        storage.put_new(name, [bytes([number]) * 1000])
    except ObjectExists:
        return False
    return True


def attempt_afar(reopen: Reopen, name: str, number: int) -> bool:
    """Run `attempt` in a process of its own."""
    with closing(reopen()) as storage:
        return attempt(storage, name, number)


def stream_large(reopen: Reopen, name: str) -> int:
    """Put and read a large object; returns by how many bytes the process grew. Runs in a process of its own."""
    with closing(reopen()) as storage:
        before = _peak_bytes()
        storage.put_new(name, (bytes(MIB) for _ in range(LARGE_BYTES // MIB)))
        read = sum(len(chunk) for chunk in storage.open(name))
        assert read == LARGE_BYTES
        return _peak_bytes() - before


def _peak_bytes() -> int:
    # Not getrusage: its peak is that of the process which started this one, if that was larger.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
