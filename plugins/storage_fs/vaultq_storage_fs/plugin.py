"""The plug-in: `[storage] name = "fs"` and its settings under `[storage.fs]`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vaultq_core.spi.hooks import Kind, Plugin, hookimpl
from vaultq_core.spi.secrets import SecretCallback
from vaultq_storage_fs.root import can_do_unnamed, create_root, open_root
from vaultq_storage_fs.storage import FsStorage


class FsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path` of the root directory, on a disk that keeps its word about fsync."""

    path: str = "objects"


def asks(settings: FsSettings) -> None:
    """Say that no secret is needed."""
    del settings


def create(settings: FsSettings, secret: SecretCallback) -> FsStorage:
    """Make an empty storage. Raises Conflict when the directory has something in it."""
    create_root(Path(settings.path))
    return open_storage(settings, secret)


def open_storage(settings: FsSettings, secret: SecretCallback) -> FsStorage:
    """Open the storage. Raises StorageUnavailable when it is not there, StorageError when others can write it."""
    del secret
    root = open_root(Path(settings.path))
    return FsStorage(root, unnamed=can_do_unnamed(root))


@hookimpl
def vaultq_storage() -> Plugin[FsSettings, FsStorage]:
    """Register the plug-in."""
    return Plugin(name="fs", kind=Kind.STORAGE, settings=FsSettings, asks=asks, create=create, open=open_storage)
