"""Which keystore keys the registry's rows need: counted, without opening anything.

A key that no row cites may be destroyed; one that a row cites never.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from sqlalchemy import Column, Connection, Table, func, select

from vaultq_core.registry.tables.patients import patients
from vaultq_core.registry.tables.vault import kem_keys, sealed_keys
from vaultq_core.spi.keystore import AES_256, MASTER, KeyId

T = TypeVar("T", str, int)


def master_key(version: int) -> KeyId:
    """Return the id of the master key that `patients.key_version` names."""
    return KeyId(MASTER, AES_256, version)


def cited_keys(tx: Connection) -> Counter[KeyId]:
    """Return how many rows cite each key: sealed keys, months' seeds and patients that are still there."""
    counts: Counter[KeyId] = Counter()
    for table, wrapped in ((sealed_keys, sealed_keys.c.wrapped), (kem_keys, kem_keys.c.wrapped_seed)):
        counts.update({KeyId.parse(name): count for name, count in _counted(tx, table, table.c.key_id, wrapped)})
    by_version = _counted(tx, patients, patients.c.key_version, patients.c.wrapped_key)
    counts.update({master_key(version): count for version, count in by_version})
    return counts


def newest_master(tx: Connection) -> int:
    """Return the newest version of the master key that a sealed key cites, 0 without any: a rotation begins there."""
    names = tx.execute(select(sealed_keys.c.key_id)).scalars()
    return max((KeyId.parse(name).version for name in names), default=0)


def patients_before(tx: Connection, version: int) -> int:
    """Return how many patients' keys are under a master key older than `version`."""
    older = (patients.c.key_version < version, patients.c.wrapped_key.is_not(None))
    return int(tx.execute(select(func.count()).select_from(patients).where(*older)).scalar_one())


def _counted(tx: Connection, table: Table, by: Column[T], wrapped: Column[bytes]) -> list[tuple[T, int]]:
    found = select(by, func.count()).select_from(table).where(wrapped.is_not(None)).group_by(by)
    return [(name, count) for name, count in tx.execute(found)]
