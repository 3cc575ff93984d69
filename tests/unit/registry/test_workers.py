"""Who serves, and where keys move to: rows that several processes read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.workers import STALE_SECONDS, WorkerRow, keystore_name

FILE, TOKEN = keystore_name("file", "/srv/keystore"), keystore_name("pkcs11", "vault 4711")
WORKER = WorkerRow(holder="a/0", node="a", pid=7, version="0.1.0", keystores=FILE, started=100, seen=100)


def test_a_worker_that_is_not_seen_any_more_does_not_count(registry: Registry, tx: Connection) -> None:
    registry.workers.put(tx, WORKER)
    registry.workers.put(tx, replace(WORKER, holder="a/1", seen=150))

    assert {row.holder for row in registry.workers.fresh(tx, 100 + STALE_SECONDS)} == {"a/0", "a/1"}
    assert {row.holder for row in registry.workers.fresh(tx, 101 + STALE_SECONDS)} == {"a/1"}
    registry.workers.remove_stale(tx, 101 + STALE_SECONDS)
    assert {row.holder for row in registry.workers.fresh(tx, 100)} == {"a/1"}


def test_a_refresh_takes_the_place_of_the_row_and_the_end_removes_it(registry: Registry, tx: Connection) -> None:
    registry.workers.put(tx, WORKER)
    registry.workers.put(tx, replace(WORKER, seen=110))

    assert [row.seen for row in registry.workers.fresh(tx, 110)] == [110]
    registry.workers.remove(tx, WORKER.holder)
    assert registry.workers.fresh(tx, 110) == ()


def test_a_worker_knows_the_keystores_that_it_names_and_no_other() -> None:
    moving = replace(WORKER, keystores=f"{FILE}\n{TOKEN}")

    assert [WORKER.knows(each) for each in (FILE, TOKEN)] == [True, False]
    assert [moving.knows(each) for each in (FILE, TOKEN, "file", "")] == [True, True, False, False]


def test_a_keystores_name_is_one_line() -> None:
    assert keystore_name("file", "/srv/a\nfile /srv/b") == "file /srv/a file /srv/b"


def test_a_move_that_was_interrupted_is_found_again(registry: Registry, tx: Connection) -> None:
    assert registry.keystore_moves.running(tx) is None
    begun = registry.keystore_moves.begin(tx, FILE, TOKEN, 100)

    assert registry.keystore_moves.begin(tx, FILE, TOKEN, 200) == begun == registry.keystore_moves.running(tx)


def test_there_is_one_move_at_a_time(registry: Registry, tx: Connection) -> None:
    first = registry.keystore_moves.begin(tx, FILE, TOKEN, 100)

    with pytest.raises(Conflict, match="not finished"):
        registry.keystore_moves.begin(tx, TOKEN, FILE, 110)
    registry.keystore_moves.finish(tx, first, 120)
    back = registry.keystore_moves.begin(tx, TOKEN, FILE, 130)

    assert registry.keystore_moves.every(tx) == (replace(first, finished=120), back)
