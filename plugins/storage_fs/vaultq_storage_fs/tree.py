"""Directories below the storage's root, opened one by one so that no link is ever followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DIRECTORY_MODE = 0o700
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REMEMBERED = 100_000  # directories; about 15 MB


class Tree:
    """The directories below one root. Descriptors it yields are closed when their block ends."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._durable: set[str] = set()

    @contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """Open `a/b` below the root. Raises FileNotFoundError, NotADirectoryError for a link."""
        current = os.dup(self._root)
        try:
            for part in path.split("/"):
                current = _descend(current, part)
            yield current
        finally:
            os.close(current)

    @contextmanager
    def made_directory(self, path: str) -> Iterator[int]:
        """Open `a/b` below the root, making and syncing what is missing."""
        current = os.dup(self._root)
        done = ""
        try:
            for part in path.split("/"):
                done = f"{done}/{part}"
                self._make(current, part, done)
                current = _descend(current, part)
            yield current
        finally:
            os.close(current)

    def _make(self, parent: int, name: str, path: str) -> None:
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
            made = True
        # Whoever finds a directory that another thread or process has just made must not rely on its sync.
        if made or path not in self._durable:
            os.fsync(parent)
            if len(self._durable) >= _REMEMBERED:
                self._durable.clear()
            self._durable.add(path)


def names_in(directory: int) -> list[str]:
    """Return the names in an open directory, in no order."""
    return os.listdir(directory)


def _descend(parent: int, name: str) -> int:
    child = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    os.close(parent)
    return child
