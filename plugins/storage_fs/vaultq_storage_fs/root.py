"""The storage's root directory: made once with a mark in it, opened only where the mark is.

Without the mark, a disk that is not mounted looks like an empty storage, and records would go to the disk below.
"""

from __future__ import annotations

import os
from pathlib import Path

from vaultq_core.errors import Conflict, StorageError, StorageUnavailable
from vaultq_storage_fs.problems import system_errors
from vaultq_storage_fs.tree import DIRECTORY_MODE

MARK = ".vaultq-storage"
_OTHERS_WRITE = 0o022


def create_root(path: Path) -> None:
    """Make the directory if need be, and mark it. Raises Conflict unless it is empty, StorageUnavailable."""
    with system_errors(str(path)):
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        if any(path.iterdir()):
            raise Conflict(f"{path} is not empty; it was not touched", remedy="Name an empty or a new directory.")
        os.close(os.open(path / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        for each in (path, path.parent):
            _sync(each)


def open_root(path: Path) -> int:
    """Return a descriptor of the root. Raises StorageUnavailable without a mark, StorageError if others can write."""
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageUnavailable(f"the storage {path} cannot be opened: {os.strerror(error.errno or 0)}") from None
    try:
        _require_ours(root, path)
    except BaseException:
        os.close(root)
        raise
    return root


def can_do_unnamed(root: int) -> bool:
    """Tell whether this filesystem makes files without a name, and /proc is there to name them."""
    try:
        os.close(os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=root))
    except OSError:
        return False
    return Path("/proc/self/fd").is_dir()


def _require_ours(root: int, path: Path) -> None:
    status = os.fstat(root)
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & _OTHERS_WRITE:
        raise StorageError(
            f"the storage {path} can be written by others", remedy="chown it to the user of VaultQ and chmod it to 700."
        )
    try:
        os.stat(MARK, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        raise StorageUnavailable(
            f"{path} is no storage of VaultQ: it has no {MARK}",
            remedy="Mount the disk that belongs there, or make a storage with `vaultq-server init`.",
        ) from None


def _sync(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
