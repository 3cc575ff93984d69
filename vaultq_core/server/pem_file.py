"""A path that OpenSSL can read something from, for APIs that take nothing but a path.

On Linux it leads to memory (memfd); elsewhere to a file that only this user can read, gone afterwards.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def readable_path(content: bytes, *, in_memory: bool = hasattr(os, "memfd_create")) -> Iterator[str]:
    """Yield a path to `content` for as long as the block runs."""
    with _memory_path(content) if in_memory else _file_path(content) as path:
        yield path


@contextmanager
def _memory_path(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("vaultq", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


@contextmanager
def _file_path(content: bytes) -> Iterator[str]:
    descriptor, path = tempfile.mkstemp(prefix="vaultq-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        Path(path).unlink()
