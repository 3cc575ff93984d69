"""The engine and its transactions: everything that differs between SQLite and PostgreSQL.

SQLite takes its write lock when a transaction begins: one that reads first and writes later fails at once
with BUSY_SNAPSHOT, whatever the timeout. PostgreSQL locks the head of the log by its row.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from vaultq_core.errors import ConfigInvalid, InsecureFile, RegistryUnavailable
from vaultq_core.registry.border import registry_border
from vaultq_core.registry.turn import WritersTurn

LOCK_WAIT_SECONDS = 10  # a writer of another process holds the lock for milliseconds
IDLE_IN_TRANSACTION_SECONDS = 5  # PostgreSQL: a frozen node must not stall all others
POOL_SIZE = 8
POOL_OVERFLOW = 56  # with the pool, more than the threads of one worker

_TURNS: WeakKeyDictionary[Engine, WritersTurn] = WeakKeyDictionary()  # of SQLite; PostgreSQL has queues of its own
_BEGIN = "vaultq_begin"  # execution option: how a transaction of this connection begins in SQLite
_GROUP_AND_OTHERS = 0o077


def open_engine(url: str) -> Engine:
    """Return the engine for `sqlite:///file` or `postgresql+psycopg://…`; an SQLite file is made with mode 0600.

    Open it after a fork, never before. Raises ConfigInvalid for another URL, InsecureFile for a file that others
    may read or that is a link.
    """
    target = _parse(url)
    backend = target.get_backend_name()
    if backend == "sqlite" and target.database not in (None, "", ":memory:"):
        _require_private_file(Path(str(target.database)))
        engine = _create(target, {})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        _TURNS[engine] = WritersTurn(Path(f"{target.database}.lock"))
        return engine
    if backend == "postgresql":
        return _create(target, {"options": _postgresql_options()})
    raise ConfigInvalid("[registry] url must be sqlite:///file or postgresql+psycopg://…")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that only reads. Raises RegistryUnavailable."""
    with registry_border(), engine.connect() as tx, tx.begin():
        yield tx


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a write transaction, committed at the end, rolled back by any exception.

    Raises Conflict for a broken constraint, RegistryUnavailable when the database does not answer.
    """
    with registry_border(), _writers_turn(engine), engine.connect() as tx:
        writer = tx.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with writer.begin():
            yield writer


def forget_deleted(engine: Engine) -> None:
    """Make what was deleted or overwritten unreadable in SQLite's files; call it after an erasure.

    Pages of the database are zeroed at once (`secure_delete`); their old content stays in the write-ahead log until
    that is truncated. Raises RegistryUnavailable while readers keep the log from being emptied.
    PostgreSQL frees its rows by VACUUM, which is the operator's.
    """
    if engine.dialect.name == "sqlite":
        with registry_border(), engine.connect() as connection:
            _truncate_wal(connection.execution_options(**{_BEGIN: None}))


def _writers_turn(engine: Engine) -> AbstractContextManager[None]:
    turn = _TURNS.get(engine)
    return nullcontext() if turn is None else turn.take()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigInvalid("[registry] url is no database URL") from None


def _create(url: URL, connect_args: dict[str, Any]) -> Engine:
    return create_engine(
        url,
        connect_args=connect_args,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=LOCK_WAIT_SECONDS,
    )


def _require_private_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_mode & _GROUP_AND_OTHERS:
            raise InsecureFile(f"{path} must be a file that only its owner may read") from None
    except OSError as error:
        raise ConfigInvalid(f"[registry] {path} cannot be made: {error.strerror}") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {LOCK_WAIT_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin is not None:  # SQLite truncates its log outside of transactions only
        connection.exec_driver_sql(begin)


def _postgresql_options() -> str:
    return (
        f"-c lock_timeout={LOCK_WAIT_SECONDS}s"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s"
        " -c default_transaction_isolation=read\\ committed"
    )


def _truncate_wal(connection: Connection) -> None:
    busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).scalar_one()
    if busy:
        raise RegistryUnavailable("readers keep the write-ahead log from being emptied")
