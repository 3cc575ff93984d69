"""Migrations: they make the tables that the code knows, once, and never run on a newer schema."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from vaultq_core.errors import ConfigInvalid, Conflict
from vaultq_core.registry.engine import open_engine, reading, writing
from vaultq_core.registry.schema import migrate, newest_schema, require_schema, schema_version, upgrade
from vaultq_core.registry.tables import metadata
from vaultq_core.registry.workers import STALE_SECONDS, WorkerRow, Workers

NOW = 1_760_000_000


@pytest.fixture
def empty(database: Path) -> Engine:
    return open_engine(f"sqlite:///{database}")


def test_the_migrations_make_the_tables_that_the_code_knows(empty: Engine) -> None:
    migrate(empty)

    with reading(empty) as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
        made = set(tx.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    assert made == {*metadata.tables, "alembic_version"}


def test_the_migrations_make_the_constraints_that_the_code_knows(empty: Engine, tmp_path: Path) -> None:
    """Alembic compares no CHECK and no primary key, so the statements themselves are compared."""
    migrate(empty)
    directly = open_engine(f"sqlite:///{tmp_path / 'directly.db'}")
    with writing(directly) as tx:
        metadata.create_all(tx)

    def statements(engine: Engine) -> set[frozenset[str]]:
        with reading(engine) as tx:
            found = tx.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"))
            return {frozenset(line.strip(" \t,") for line in str(each).splitlines()) for each in found.scalars()}

    assert statements(empty) == statements(directly)


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    assert schema_version(empty) is None
    first = migrate(empty)

    assert migrate(empty) == first == schema_version(empty)
    require_schema(empty)


def test_an_empty_database_is_not_served(empty: Engine) -> None:
    with pytest.raises(ConfigInvalid, match="no schema"):
        require_schema(empty)


def test_a_newer_schema_is_refused(empty: Engine) -> None:
    migrate(empty)
    with writing(empty) as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for refuses in (migrate, require_schema):
        with pytest.raises(ConfigInvalid, match="9999, which is newer"):
            refuses(empty)


def test_several_processes_that_migrate_at_once_make_one_schema(database: Path) -> None:
    program = (
        "import sys; from vaultq_core.registry.engine import open_engine;"
        " from vaultq_core.registry.schema import migrate; print(migrate(open_engine(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{database}"]
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: run(command, capture_output=True, text=True, check=False), range(3)))

    assert [(each.returncode, each.stdout) for each in done] == [(0, f"{newest_schema()}\n")] * 3


def test_an_upgrade_makes_no_vault_and_waits_for_whoever_serves(empty: Engine) -> None:
    with pytest.raises(ConfigInvalid, match="no vault here yet"):
        upgrade(empty, NOW)
    assert schema_version(empty) is None
    migrate(empty)
    assert upgrade(empty, NOW) == (newest_schema(), newest_schema())
    with writing(empty) as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        Workers().put(tx, WorkerRow(holder="a/7", node="a", pid=7, version="0", keystores="", started=NOW, seen=NOW))

    with pytest.raises(Conflict, match="still serves"):
        upgrade(empty, NOW + STALE_SECONDS)
    assert schema_version(empty) == "0001"
