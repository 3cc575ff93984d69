"""Checks of the registry: it opens, its schema fits, its log agrees with itself, with the storage and the clock."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import make_url

from vaultq_core.crypto.checkpoints import verify_checkpoint
from vaultq_core.crypto.merkle import Frontier, leaf_hash
from vaultq_core.crypto.receipts import leaf_data
from vaultq_core.errors import ConfigInvalid, RecordDamaged
from vaultq_core.registry.commit import MOST_SECONDS_BEHIND
from vaultq_core.registry.engine import open_engine, reading
from vaultq_core.registry.log import Head
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.schema import newest_schema, require_schema
from vaultq_core.registry.tables.log import log_entries, log_head
from vaultq_core.registry.vault import peek_vault_id
from vaultq_core.server.checks.findings import Finding, Opened, failed, not_checked, ok, warning
from vaultq_core.server.opening import INIT, NO_VAULT, require_newest

REGISTRY: Final = "the registry"
_TIMEX_BYTES: Final = 256  # struct timex has 208 on Linux, 64 bits
_TIMEX_STATUS: Final = 40  # where its `status` lies
_STA_UNSYNC: Final = 0x40


def check_registry(opened: Opened) -> Iterator[Finding]:
    """See that it is there, private, of this version's schema, and holds a vault."""
    url = make_url(opened.config.registry.url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise ConfigInvalid(f"{NO_VAULT}: {url.database} does not exist", remedy=INIT)  # opening would make it
    engine = open_engine(opened.config.registry.url)
    opened.stack.callback(engine.dispose)
    require_schema(engine)
    with reading(engine) as tx:
        vault = peek_vault_id(tx)
    if vault is None:
        raise ConfigInvalid(NO_VAULT, remedy=INIT)
    opened.engine = engine
    yield ok("registry", f"{engine.dialect.name}, schema {newest_schema()}, vault {vault}")


def check_log(opened: Opened) -> Iterator[Finding]:
    """See that its head, newest entry and checkpoint agree, and both log signatures hold."""
    if opened.registry is None or opened.keys is None:
        yield not_checked("log", "the vault's keys")
        return
    with opened.registry.reading() as tx:
        head = opened.registry.log.head(tx)
        _require_whole(tx, head)
        _require_newest_leaf(tx, opened.registry, head)
    checkpoint = verify_checkpoint(head.note, opened.keys.log.public())
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        raise RecordDamaged("the newest checkpoint is not of the log's head")
    yield ok("log", f"{head.size} entries; head, newest entry and both signatures of the checkpoint agree")


def check_checkpoint(opened: Opened) -> Iterator[Finding]:
    """See that the storage knows no longer log than the registry has."""
    if opened.engine is None or opened.storage is None:
        yield not_checked("checkpoint", f"{REGISTRY} or the storage")
        return
    with reading(opened.engine) as tx:
        size = tx.execute(select(log_head.c.size)).scalar_one()
    require_newest(size, opened.storage)
    yield ok("checkpoint", f"none in the storage is newer than the registry, which has {size} entries")


def check_clock(opened: Opened) -> Iterator[Finding]:
    """See that it is not behind the log, and synchronised as far as the kernel knows."""
    if opened.engine is None:
        yield not_checked("clock", REGISTRY)
    else:
        with reading(opened.engine) as tx:
            behind = tx.execute(select(log_head.c.time)).scalar_one() - opened.seconds()
        if behind > MOST_SECONDS_BEHIND:
            remedy = "Set the clock of this machine (NTP)."
            yield failed("clock", f"{behind} seconds behind the newest entry of the log; the server refuses", remedy)
        else:
            yield ok("clock", f"{opened.now:%Y-%m-%d %H:%M:%S}Z, not behind the log")
    yield _time_service()


def _require_whole(tx: Connection, head: Head) -> None:
    count, newest = tx.execute(select(func.count(), func.max(log_entries.c.log_index))).one()
    if count != head.size or newest != head.size - 1:
        raise RecordDamaged(f"the log's head counts {head.size} entries, and there are {count}")
    frontier = Frontier.decode(head.frontier)
    if frontier.size != head.size or frontier.root() != head.root:
        raise RecordDamaged("the head of the log contradicts itself")


def _require_newest_leaf(tx: Connection, registry: Registry, head: Head) -> None:
    (row,) = registry.log.entries(tx, after=head.size - 2, limit=1)
    if row.salt is not None and registry.log.leaf(tx, row.log_index) != leaf_hash(leaf_data(row.entry, row.salt)):
        raise RecordDamaged("the log's newest entry is not what was signed")


def _time_service() -> Finding:
    synchronised = _is_synchronised()
    remedy = "Run a time service (chrony, systemd-timesyncd); certificates and log times need a right clock."
    if synchronised is None:
        return warning("time service", "unknown: this system does not say whether the clock is synchronised", remedy)
    if not synchronised:
        return warning("time service", "the kernel says that nothing synchronises the clock", remedy)
    return ok("time service", "the kernel says that the clock is synchronised")


def _is_synchronised() -> bool | None:
    """Ask the kernel (adjtimex(2), which changes nothing with no modes); None where it cannot be asked."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    timex = (ctypes.c_char * _TIMEX_BYTES)()
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return None
    return not ctypes.c_int.from_buffer(timex, _TIMEX_STATUS).value & _STA_UNSYNC
