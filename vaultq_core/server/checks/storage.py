"""Checks of the storage: it opens, takes an object, gives it back, lets go of it, and has room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from vaultq_core.errors import ObjectExists, StorageError
from vaultq_core.server.backends import Prompt, prepare_storage
from vaultq_core.server.checks.findings import Check, Finding, Opened, failed, ok, warning
from vaultq_core.spi.names import CHECKPOINTS, checkpoint_name
from vaultq_core.wire.limits import GIB

PROBE: Final = b"vaultq-server check\n"
# The checkpoint of an empty log: older than any, so that the server itself would delete it after a kill.
PROBE_NAME: Final = checkpoint_name(0)
WARN_BYTES: Final = 10 * GIB
FAIL_BYTES: Final = GIB // 4


def check_storage(prompt: Prompt) -> Check:
    """Return the check that opens the storage, and writes and deletes a probe."""

    def check(opened: Opened) -> Iterator[Finding]:
        storage = prepare_storage(opened.config, prompt)()
        opened.stack.callback(storage.close)
        opened.storage = storage
        name = opened.config.storage.name
        checkpoints = sum(each.name != PROBE_NAME for each in storage.list(CHECKPOINTS))
        with suppress(ObjectExists):  # of another check that runs, or was killed
            storage.put_new(PROBE_NAME, [PROBE])
        try:
            with closing(storage.open(PROBE_NAME)) as chunks:  # type: ignore[type-var]  # the guard's iterator closes
                if b"".join(chunks) != PROBE:
                    raise StorageError("the storage gave back other bytes than it took")
        finally:
            storage.delete(PROBE_NAME)
        yield ok("storage", f"{name}: a probe was written, read and deleted; {checkpoints} checkpoint(s)")

    return check


def check_room(opened: Opened) -> Iterator[Finding]:
    """There is room where files are written: objects, registry, data directory."""
    path = opened.config.storage.settings.get("path")
    places = {"storage": Path(path)} if isinstance(path, str) else {}
    for name, place in (places | {"data directory": opened.config.data_dir}).items():
        if place.exists():
            yield _room(f"room of the {name}", place)


def _room(subject: str, place: Path) -> Finding:
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    remedy = "Free space, or move it to a larger disk; the server answers 503 to uploads when it is full."
    detail = f"{free / GIB:.1f} GiB free at {place}"
    if free < FAIL_BYTES:
        return failed(subject, detail, remedy)
    return warning(subject, detail, remedy) if free < WARN_BYTES else ok(subject, detail)
