from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from vaultq_core.errors import KeystoreUnavailable, ObjectMissing, StorageError, StorageUnavailable
from vaultq_core.spi.guard import Border, GuardedIterator, GuardedStorage
from vaultq_core.spi.names import RECORDS, checkpoint_name
from vaultq_core.spi.storage import StoredObject
from vaultq_core.spi.testing import KnownSecret, StorageContract
from vaultq_core.spi.testing.storage_contract import Interruption, interrupted, new_name
from vaultq_storage_fs import plugin
from vaultq_storage_fs.storage import FsStorage

PIN = "PIN 1234"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    plugin.create(plugin.FsSettings(path=str(tmp_path / "objects")), KnownSecret()).close()
    return tmp_path / "objects"


def open_broken(root: Path) -> BrokenStorage:
    whole = plugin.open_storage(plugin.FsSettings(path=str(root)), KnownSecret())
    whole.__class__ = BrokenStorage
    assert isinstance(whole, BrokenStorage)
    return whole


class Panic(BaseException):
    """As a Rust extension raises it."""


class BrokenStorage(FsStorage):
    """A plug-in with every bug at once."""

    def put_new(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        try:
            stored = super().put_new(name, chunks)
        except Interruption as error:
            raise RuntimeError(PIN) from error
        raise OSError(stored.name, PIN)

    def open(self, name: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        yield from super().open(name, offset=offset, length=length)
        raise ConnectionError(PIN)

    def stat(self, name: str) -> StoredObject:
        raise Panic(name, PIN)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        yield StoredObject(f"{prefix}../../etc/passwd", 1)

    def delete(self, name: str) -> None:
        raise ObjectMissing(name)


@pytest.fixture
def guarded(root: Path) -> GuardedStorage:
    return GuardedStorage(open_broken(root), "broken")


def test_a_foreign_exception_becomes_unavailable_without_its_text(guarded: GuardedStorage) -> None:
    with pytest.raises(StorageUnavailable, match="the storage broken failed: OSError") as raised:
        guarded.put_new(new_name(), [b"x"])

    assert PIN not in "".join(traceback.format_exception(raised.value))


def test_a_panic_is_no_end_of_the_process(guarded: GuardedStorage) -> None:
    with pytest.raises(StorageUnavailable, match="Panic"):
        guarded.stat(new_name())


def test_our_own_errors_come_through(guarded: GuardedStorage) -> None:
    with pytest.raises(ObjectMissing):
        guarded.delete(new_name())


def test_an_exception_while_reading_is_guarded_too(guarded: GuardedStorage, root: Path) -> None:
    (root / "log").mkdir()
    (root / checkpoint_name(1)).write_bytes(b"note")
    reading = guarded.open(checkpoint_name(1))

    assert next(reading) == b"note"
    with pytest.raises(StorageUnavailable, match="ConnectionError"):
        next(reading)
    reading.close()


def test_what_the_callers_chunks_raise_comes_out_unchanged(guarded: GuardedStorage) -> None:
    own = Interruption("the doctor is gone")

    with pytest.raises(Interruption) as raised:
        guarded.put_new(new_name(), interrupted(10, own))

    assert raised.value is own
    assert raised.value.__context__ is None


def test_a_name_that_comes_out_is_checked_like_one_that_goes_in(guarded: GuardedStorage) -> None:
    with pytest.raises(StorageError):
        list(guarded.list(RECORDS))
    with pytest.raises(StorageError):
        guarded.stat("../../etc/passwd")


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_let_through(ending: type[BaseException]) -> None:
    def end() -> None:
        raise ending

    with pytest.raises(ending):
        Border("the keystore x", KeystoreUnavailable).call(end)


def test_a_guarded_iterator_ends_where_its_inner_one_does() -> None:
    border = Border("the storage x", StorageUnavailable)

    assert list(GuardedIterator(border, iter([b"", b"a", b"b"]))) == [b"", b"a", b"b"]


def open_guarded(root: Path) -> GuardedStorage:
    return GuardedStorage(plugin.open_storage(plugin.FsSettings(path=str(root)), KnownSecret()), "fs")


Reopen = Callable[[], GuardedStorage]


class TestAGuardedStorage(StorageContract):
    @pytest.fixture
    def reopen(self, root: Path) -> Reopen:
        return partial(open_guarded, root)
