"""A file that becomes a record: hashed once before it is signed, and read again while it is sent.

It may change in between. What is sent is therefore hashed as it goes, and the last chunk never leaves
for content that was not signed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vaultq_core.errors import Conflict, Usage
from vaultq_core.private_files import file_errors
from vaultq_core.wire.limits import MIB
from vaultq_core.wire.manifest import Content

CHUNK_BYTES = MIB
Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when it was hashed: absolute path, bytes, time of change (ns), SHA-256 (hex)."""

    path: Path
    size: int
    modified: int
    sha256: str


def examine(path: Path, progress: Progress = no_progress) -> SourceFile:
    """Hash a file. Raises NotFound, Usage for anything but a regular file, Conflict if it changes meanwhile."""
    digest, length = hashlib.sha256(), 0
    with _opened(path) as file:
        before = os.fstat(file.fileno())
        while chunk := _read(file, path):
            digest.update(chunk)
            length += len(chunk)
            progress(length, before.st_size)
        after = os.fstat(file.fileno())
    if (length, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(path)
    return SourceFile(path.absolute(), length, after.st_mtime_ns, digest.hexdigest())


def file_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes. Raises NotFound, Usage for anything but a regular file."""
    with _opened(path) as file:
        while chunk := _read(file, path):
            yield chunk


def holds_still(path: Path, content: Content, *, size: int, modified: int) -> bool:
    """Tell whether the file still is what was signed; it is hashed again only if size or time differ."""
    with _opened(path) as file:
        status = os.fstat(file.fileno())
    return (status.st_size, status.st_mtime_ns) == (size, modified) or examine(path).sha256 == content.sha256


def signed_chunks(path: Path, content: Content, progress: Progress = no_progress) -> Iterator[bytes]:
    """Yield the file's bytes, the end of them only if they are what was signed. Raises Conflict, NotFound."""
    digest, length = hashlib.sha256(), 0
    with _opened(path) as file:
        while chunk := _read(file, path):
            digest.update(chunk)
            length += len(chunk)
            if length > content.length:
                raise _changed(path)
            if length == content.length:
                break
            yield chunk
            progress(length, content.length)
        if length != content.length or digest.hexdigest() != content.sha256 or _read(file, path):
            raise _changed(path)
        yield chunk
        progress(length, content.length)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with file_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Usage(f"{path} is not a regular file", remedy="Name a file; a record is one file.")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _read(file: BinaryIO, path: Path) -> bytes:
    with file_errors(path):
        return file.read(CHUNK_BYTES)


def _changed(path: Path) -> Conflict:
    return Conflict(
        f"{path} changed while it was being read; the vault has kept nothing of it",
        remedy="Wait until the program that writes the file has finished, then put it again.",
    )
