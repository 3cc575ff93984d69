"""The registry of a small hospital, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.unit.registry.example import ledger_of, new_registry
from vaultq_core.registry.commit import Ledger
from vaultq_core.registry.registry import Registry


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(database: Path) -> Iterator[Registry]:
    opened = new_registry(database)
    yield opened
    opened.close()


@pytest.fixture
def tx(registry: Registry) -> Iterator[Connection]:
    """A write transaction, committed at the end."""
    with registry.writing() as connection:
        yield connection


@pytest.fixture
def ledger(registry: Registry) -> Ledger:
    return ledger_of(registry)
