"""The version of the registry's schema: made and brought up to date by the migrations of the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select

from vaultq_core.errors import ConfigInvalid, Conflict
from vaultq_core.registry.engine import reading, writing
from vaultq_core.registry.tables.vault import leases, workers
from vaultq_core.registry.workers import STALE_SECONDS, Workers

_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(engine: Engine) -> str:
    """Bring the schema up to date in one transaction and return its version; one process at a time does it.

    Raises ConfigInvalid when a newer VaultQ made the schema, RegistryUnavailable when it stays locked.
    """
    config = _config()
    with writing(engine) as tx:
        _require_known(_version(tx), config)
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
        return str(_version(tx))


def upgrade(engine: Engine, now: int) -> tuple[str, str]:
    """Bring the schema of a vault up to date, while nobody serves it; return its version before and after.

    A worker of an older version may go on for a while with tables that it does not know, and then not start again:
    hence nobody. Raises ConfigInvalid for an empty database or a newer schema, Conflict while somebody serves (by a
    worker's row or, in schema 0001, by a lease), RegistryUnavailable when it stays locked.
    """
    config = _config()
    with writing(engine) as tx:
        before = _version(tx)
        _require_known(before, config)
        if before is None:
            raise ConfigInvalid("there is no vault here yet", remedy="Run `vaultq-server init` first.")
        if before == newest_schema():
            return before, before
        _require_nobody(tx, now)
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
        return before, str(_version(tx))


def schema_version(engine: Engine) -> str | None:
    """Return the schema's version, or None for an empty database. Raises RegistryUnavailable."""
    with reading(engine) as tx:
        return _version(tx)


def newest_schema() -> str:
    """Return the version of the schema that this VaultQ needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def require_schema(engine: Engine) -> None:
    """Refuse a schema that is not the one of this VaultQ. Raises ConfigInvalid."""
    config = _config()
    version = schema_version(engine)
    _require_known(version, config)
    if version != newest_schema():
        raise ConfigInvalid(
            "the registry has no schema, or an older one than this VaultQ needs",
            remedy="Make a backup, stop the server, run `vaultq-server upgrade`, then start the server again.",
        )


def _require_nobody(tx: Connection, now: int) -> None:
    serving = len(Workers().fresh(tx, now)) if inspect(tx).has_table(workers.name) else 0
    leased = tx.execute(select(func.max(leases.c.until))).scalar_one() or 0
    if serving or leased > now:
        wait = f"; if it was killed, wait {max(leased - now, STALE_SECONDS if serving else 0)} seconds"
        raise Conflict(
            "a server still serves this vault",
            remedy=f"Stop every `vaultq-server serve` of this vault{wait}, then run `vaultq-server upgrade` again.",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _version(tx: Connection) -> str | None:
    return MigrationContext.configure(tx).get_current_revision()


def _require_known(version: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigInvalid(
            f"the registry has schema {version}, which is newer than this VaultQ",
            remedy="Start the version of VaultQ that migrated it, or a later one.",
        )
