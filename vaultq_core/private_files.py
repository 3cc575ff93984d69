"""Files that one user alone may read or replace: keystore, identity, passphrase.

Both functions refuse what would let another user read, replace or redirect the file. They look at the
file and its directory through descriptors, so that nothing can be swapped between look and use.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vaultq_core.errors import Conflict, InsecureFile, LimitExceeded, NotFound, Unavailable

FILE_MODE = 0o600
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def read_private(path: str | Path, limit: int) -> bytes:
    """Return the content of a private file of at most `limit` bytes.

    Raises NotFound, InsecureFile (link, extra hard link, no regular file, other owner, mode beyond 0600, directory
    that others can write), LimitExceeded, Unavailable.
    """
    target = Path(path).absolute()
    with file_errors(target), private_directory(target.parent) as directory:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not hold us
        with os.fdopen(os.open(target.name, flags, dir_fd=directory), "rb") as file:
            require_private(file.fileno(), target)
            data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitExceeded(f"{target} is larger than {limit} bytes", remedy="Check that the path is the right one.")
    return data


def write_private(path: str | Path, data: bytes, *, create_only: bool = False) -> None:
    """Put `data` there with mode 0600, whole or not at all, and durable on return.

    Raises InsecureFile for a directory that others can write, Conflict when `create_only` and something is there,
    NotFound without the directory, Unavailable without room or right.
    """
    target = Path(path).absolute()
    temporary = f".{target.name}.{secrets.token_hex(8)}.part"
    with file_errors(target), private_directory(target.parent) as directory:
        try:
            _write_synced(temporary, data, directory)
            if create_only:
                os.link(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
                os.unlink(temporary, dir_fd=directory)
            else:
                os.rename(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            raise


@contextmanager
def private_directory(path: Path) -> Iterator[int]:
    """Yield a descriptor of a directory that is ours or root's and that nobody else can write. Raises InsecureFile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid not in (os.geteuid(), 0):
            raise InsecureFile(f"the directory {path} belongs to another user")
        if status.st_mode & _OTHERS_WRITE:
            raise InsecureFile(f"the directory {path} can be written by others")
        yield descriptor
    finally:
        os.close(descriptor)


def require_private(descriptor: int, path: Path) -> None:
    """Refuse an open file that is not regular, not ours alone, or has a second name. Raises InsecureFile."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InsecureFile(f"{path} is not a regular file")
    if status.st_uid != os.geteuid():
        raise InsecureFile(f"{path} belongs to another user")
    if status.st_mode & _OTHERS:
        raise InsecureFile(f"{path} has mode {stat.S_IMODE(status.st_mode):04o}; others can read or write it")
    if status.st_nlink != 1:
        raise InsecureFile(f"{path} has a second name (a hard link)", remedy="Find and remove the other hard link.")


def _write_synced(name: str, data: bytes, directory: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, FILE_MODE, dir_fd=directory), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into NotFound, Conflict, InsecureFile or Unavailable."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{path} is not there", remedy="Check the path.") from None
    except FileExistsError:
        raise Conflict(f"{path} is there already; it was not touched") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):  # what O_NOFOLLOW and O_DIRECTORY say to a link
            raise InsecureFile(f"{path} or its directory is a symbolic link or no directory") from None
        if error.errno == errno.ENXIO:
            raise InsecureFile(f"{path} is not a regular file") from None
        raise Unavailable(f"{path} cannot be used: {os.strerror(error.errno or 0)}") from None
