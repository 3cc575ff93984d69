"""The engine: private files, durable settings, one writer at a time, and nothing left of what was deleted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from tests.unit.registry.example import ADA, PATIENT
from vaultq_core.errors import ConfigInvalid, Conflict, InsecureFile, RegistryUnavailable
from vaultq_core.registry.engine import open_engine
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.tables.vault import leases


def test_the_file_and_its_log_are_for_the_owner_alone(registry: Registry, database: Path) -> None:
    with registry.writing() as tx:
        registry.epoch.advance(tx)

    modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    assert modes == dict.fromkeys(("registry.db", "registry.db-wal", "registry.db-shm", "registry.db.lock"), 0o600)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(database: Path, mode: int) -> None:
    database.touch()
    database.chmod(mode)

    with pytest.raises(InsecureFile, match=r"registry\.db"):
        open_engine(f"sqlite:///{database}")


def test_a_link_is_refused(database: Path) -> None:
    target = database.with_name("elsewhere.db")
    target.touch(0o600)
    database.symlink_to(target)

    with pytest.raises(InsecureFile):
        open_engine(f"sqlite:///{database}")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x", "no url", "sqlite:////nowhere/at/all.db"]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="registry"):
        open_engine(url)


def test_every_connection_has_the_settings_that_the_promises_need(registry: Registry) -> None:
    settings = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    with registry.reading() as first, registry.reading() as second:
        for tx in (first, second):
            found = [tx.execute(text(f"PRAGMA {name}")).scalar_one() for name in settings]
            assert found == ["wal", 2, 1, 1, 10_000]


def test_a_second_writer_waits_for_the_first(registry: Registry) -> None:
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with registry.writing():
            order.append("second")

    thread = threading.Thread(target=second)
    with registry.writing() as tx:
        thread.start()
        assert begun.wait(30)
        registry.epoch.advance(tx)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_reader_sees_one_state_while_others_write(registry: Registry) -> None:
    with registry.reading() as reader:
        before = registry.epoch.value(reader)
        with registry.writing() as tx:
            registry.epoch.advance(tx)
        assert registry.epoch.value(reader) == before

    with registry.reading() as reader:
        assert registry.epoch.value(reader) == before + 1


def test_an_exception_undoes_the_whole_transaction(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.writing() as tx:  # noqa: PT012 - both belong to the promise
        registry.epoch.advance(tx)
        raise ZeroDivisionError

    with registry.reading() as tx:
        assert registry.epoch.value(tx) == 0


def test_nothing_of_an_erased_patient_is_left_in_the_files(registry: Registry, database: Path) -> None:
    marker = b"the sealed demographics of patient zero" * 200
    with registry.writing() as tx:
        registry.patients.describe(tx, PATIENT, marker)
    with registry.writing() as tx:
        registry.patients.erase(tx, PATIENT, 5)

    registry.forget_deleted()

    assert not any(marker[:39] in path.read_bytes() for path in database.parent.iterdir())


def test_forgetting_is_refused_while_a_reader_holds_the_old_pages(registry: Registry) -> None:
    with registry.reading() as reader:
        registry.epoch.value(reader)
        with registry.writing() as tx:
            registry.epoch.advance(tx)
        tx_free = Registry(open_engine(str(registry.engine.url)), b"r" * 32)
        with tx_free.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with pytest.raises(RegistryUnavailable, match="readers"):
            tx_free.forget_deleted()
        tx_free.close()


def test_a_broken_constraint_is_a_conflict_that_quotes_no_row(registry: Registry) -> None:
    with pytest.raises(Conflict) as caught, registry.writing() as tx:  # noqa: PT012 - the second insert is the promise
        tx.execute(insert(leases).values(name="scrub", holder="secret holder", until=1))
        tx.execute(insert(leases).values(name="scrub", holder="secret holder", until=1))

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_broken_reference_is_a_conflict(registry: Registry) -> None:
    with pytest.raises(Conflict), registry.writing() as tx:
        registry.patients.add_number(tx, "33333333-3333-4333-8333-333333333333", "ab" * 32)


def test_a_database_that_is_none_is_unavailable(database: Path) -> None:
    database.write_bytes(b"this is no database" * 100)
    database.chmod(0o600)

    registry = Registry(open_engine(f"sqlite:///{database}"), b"r" * 32)
    with pytest.raises(RegistryUnavailable, match="not a database"), registry.reading() as tx:
        registry.doctors.get(tx, ADA)
    registry.close()
