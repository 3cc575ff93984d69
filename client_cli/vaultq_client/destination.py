"""Where a record's content goes: absent, or whole and proven; never in between.

It grows in a 0600 file beside its destination and gets its name only after the last proof and a sync.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vaultq_core.errors import Conflict
from vaultq_core.private_files import FILE_MODE, file_errors

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}  # FAT on a stick, some shares


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Yield a file that becomes `path` when the block ends well, and disappears otherwise.

    Raises Conflict when something is there and `replace` isn't set, at the start and at the end;
    NotFound without the directory, Unavailable without room or right.
    """
    target = path.absolute()
    with file_errors(target.parent):
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not replace:
            require_absent(target)
        temporary = f".{target.name[:200]}.{secrets.token_hex(8)}.part"
        try:
            with _created(temporary, target, directory) as file:
                yield file
                with file_errors(target):
                    file.flush()
                    os.fsync(file.fileno())
            _name(temporary, target, directory, replace=replace)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
    finally:
        os.close(directory)


def require_absent(path: Path) -> Path:
    """Return `path` if nothing is there. Raises Conflict."""
    if path.is_symlink() or path.exists():
        raise Conflict(f"{path} is there already; it was not touched", remedy="Choose another path, or add --force.")
    return path


def write_all(file: BinaryIO, path: Path, chunk: bytes) -> None:
    """Write a chunk. Raises Unavailable when there is no room."""
    with file_errors(path):
        file.write(chunk)


@contextmanager
def _created(name: str, target: Path, directory: int) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with file_errors(target):
        descriptor = os.open(name, flags, FILE_MODE, dir_fd=directory)
    file = os.fdopen(descriptor, "wb")
    try:
        yield file
    finally:
        with suppress(OSError):  # what had to be written was flushed before; a full disk was told then
            file.close()


def _name(temporary: str, target: Path, directory: int, *, replace: bool) -> None:
    with file_errors(target):
        if replace:
            os.rename(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            _name_new(temporary, target, directory)
        os.fsync(directory)


def _name_new(temporary: str, target: Path, directory: int) -> None:
    try:
        os.link(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        require_absent(target)
        os.rename(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
