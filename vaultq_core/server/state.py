"""`vaultq-server status`: what the registry says of the vault, without opening a key."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import func, select

from vaultq_core.errors import ConfigInvalid
from vaultq_core.registry.engine import open_engine, reading
from vaultq_core.registry.schema import newest_schema, schema_version
from vaultq_core.registry.tables.log import log_head
from vaultq_core.registry.tables.patients import patients, pending_records, records
from vaultq_core.registry.tables.people import doctors
from vaultq_core.registry.tables.vault import crls, vault, vault_statements
from vaultq_core.registry.workers import WorkerRow, Workers
from vaultq_core.server.config import Config

WorkerFacts = dict[str, str | int | list[str]]
Fact = str | int | list[WorkerFacts]


def describe_vault(config: Config, now: int) -> dict[str, Fact]:
    """Return counts and ages by name, and the `workers` that serve; rows are not authenticated: no key is opened.

    Raises ConfigInvalid when there is no vault, RegistryUnavailable.
    """
    engine = open_engine(config.registry.url)
    try:
        schema = schema_version(engine)
        if schema is None:
            raise ConfigInvalid("there is no vault here yet", remedy="Run `vaultq-server init` first.")
        with reading(engine) as tx:
            counts = {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
                      for table in (doctors, patients, records, pending_records)}  # fmt: skip
            found = tx.execute(select(vault.c.vault)).scalar_one_or_none()
            version, ends = tx.execute(
                select(vault_statements.c.version, vault_statements.c.not_after)
                .order_by(vault_statements.c.version.desc())
                .limit(1)
            ).one_or_none() or (0, 0)
            log_size = tx.execute(select(log_head.c.size)).scalar_one_or_none()
            serving = Workers().fresh(tx, now) if schema == newest_schema() else ()
            crl_ends = tx.execute(select(func.min(crls.c.next_update))).scalar_one_or_none()
    finally:
        engine.dispose()
    return {
        "vault": str(found),
        "data_dir": str(config.data_dir),
        "keystore": config.keystore.name,
        "storage": config.storage.name,
        "registry": engine.dialect.name,
        "schema": schema,
        "statement_version": version,
        "statement_ends": utc(ends),
        "crls_end": utc(crl_ends or 0),
        "log_entries": log_size or 0,
        **counts,
        "workers": [_worker(row, now) for row in serving],
    }


def status_lines(facts: dict[str, Fact]) -> list[str]:
    """Return the facts for people, one a line, and a line a worker."""
    width = max(map(len, facts))
    lines = [f"{name.replace('_', ' '):{width}}  {value}" for name, value in facts.items() if name != "workers"]
    workers = facts["workers"]
    for worker in workers if isinstance(workers, list) else []:
        keystores = worker["keystores"]
        names = ", ".join(keystores) if isinstance(keystores, list) else ""
        age = worker["seen_seconds_ago"]
        what = f"{worker['node']} pid {worker['pid']}, VaultQ {worker['version']}, {names}, seen {age} s ago"
        lines.append(f"{'worker':{width}}  {what}")
    return lines if workers else [*lines, f"{'worker':{width}}  none serves"]


def _worker(row: WorkerRow, now: int) -> WorkerFacts:
    return {
        "node": row.node,
        "pid": row.pid,
        "version": row.version,
        "keystores": row.keystores.split("\n"),
        "started": utc(row.started),
        "seen_seconds_ago": max(0, now - row.seen),
    }


def utc(seconds: int) -> str:
    """Return a time for people and scripts, such as 2026-03-01 08:30:00Z."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
