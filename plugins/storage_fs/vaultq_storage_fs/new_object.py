"""An object that is being written. It has no name until it is complete, so a kill leaves nothing half-done.

Where the filesystem can (ext4, xfs, btrfs, tmpfs), the file has no name at all and the kernel drops it with its
last descriptor. Elsewhere (NFS) it is written as `.parts/<random>`, locked while its writer lives, and whoever
opens the storage next sweeps what has no living writer.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vaultq_storage_fs.tree import Tree, names_in

FILE_MODE = 0o600
PARTS = ".parts"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class NewObject:
    """An open file; `part` is its name below `.parts` where it has one."""

    descriptor: int
    part: str | None
    parts: int | None

    def place(self, directory: int, name: str) -> None:
        """Give it its name, in one step. Raises FileExistsError when the name is taken."""
        if self.part is None:
            os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=directory, follow_symlinks=True)
        else:
            os.link(self.part, name, src_dir_fd=self.parts, dst_dir_fd=directory, follow_symlinks=False)


@contextmanager
def unnamed_object(directory: int) -> Iterator[NewObject]:
    """Open a file without a name; it is gone after the block unless it was placed."""
    descriptor = os.open(".", _UNNAMED, FILE_MODE, dir_fd=directory)
    try:
        yield NewObject(descriptor, None, None)
    finally:
        os.close(descriptor)


@contextmanager
def named_object(tree: Tree) -> Iterator[NewObject]:
    """Open a locked file below `.parts`; that name is gone after the block, whether it was placed or not."""
    with tree.made_directory(PARTS) as parts:
        name, descriptor = _locked_part(parts)
        try:
            yield NewObject(descriptor, name, parts)
        finally:
            os.unlink(name, dir_fd=parts)
            os.close(descriptor)


def sweep(tree: Tree) -> None:
    """Remove the parts of writers that are no more."""
    with suppress(FileNotFoundError), tree.directory(PARTS) as parts:
        for name in names_in(parts):
            with suppress(FileNotFoundError):
                _remove_unless_locked(parts, name)


def _locked_part(parts: int) -> tuple[str, int]:
    while True:
        name = secrets.token_hex(16)
        descriptor = os.open(name, _CREATE, FILE_MODE, dir_fd=parts)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # not swept between the two lines above
            return name, descriptor
        os.close(descriptor)


def _remove_unless_locked(parts: int, name: str) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parts)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=parts)
    finally:
        os.close(descriptor)
