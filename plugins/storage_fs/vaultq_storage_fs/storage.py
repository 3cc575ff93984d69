"""The Storage over a directory: an object is a file of mode 0600 under its own name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress

from vaultq_core.errors import StorageError, StorageUnavailable
from vaultq_core.spi.names import RECORDS, is_list_prefix, is_object_name, list_prefix, object_name
from vaultq_core.spi.storage import StoredObject
from vaultq_storage_fs.new_object import NewObject, named_object, sweep, unnamed_object
from vaultq_storage_fs.problems import system_errors
from vaultq_storage_fs.reader import Reader
from vaultq_storage_fs.tree import Tree, names_in

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FsStorage:
    """See vaultq_core.spi.storage.Storage. Takes over `root`, a descriptor of the root directory.

    A small object costs two syncs (file and directory), the first one of a patient in a process a third.
    `unnamed` says whether the filesystem makes files without a name (see new_object).
    """

    def __init__(self, root: int, *, unnamed: bool) -> None:
        self._root = root
        self._tree = Tree(root)
        self._unnamed = unnamed
        with system_errors("the storage's .parts"):
            sweep(self._tree)

    def put_new(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """See Storage."""
        directory_name, leaf = self._split(name)
        size = 0
        with ExitStack() as opened:
            with system_errors(name):
                directory = opened.enter_context(self._tree.made_directory(directory_name))
                new = opened.enter_context(self._new_object(directory))
            for chunk in chunks:  # what this raises is the caller's, an OSError too
                with system_errors(name):
                    _write(new.descriptor, chunk)
                size += len(chunk)
            with system_errors(name):
                _finish(new, directory, leaf)
        return StoredObject(name, size)

    def open(self, name: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See Storage."""
        directory_name, leaf = self._split(name)
        if offset < 0 or (length is not None and length < 0):
            raise StorageError("a range of an object has no negative bounds")
        with system_errors(name), self._tree.directory(directory_name) as directory:
            descriptor = os.open(leaf, _OPEN_FILE, dir_fd=directory)
            try:
                status = _require_regular(os.fstat(descriptor), name)
            except StorageError:
                os.close(descriptor)
                raise
        rest = max(0, status.st_size - offset)
        return Reader(descriptor, name, offset, rest if length is None else min(rest, length))

    def stat(self, name: str) -> StoredObject:
        """See Storage."""
        directory_name, leaf = self._split(name)
        with system_errors(name), self._tree.directory(directory_name) as directory:
            status = _require_regular(os.stat(leaf, dir_fd=directory, follow_symlinks=False), name)
        return StoredObject(name, status.st_size)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Storage."""
        self._require_open()
        directory, _, beginning = list_prefix(prefix).rpartition("/")
        if prefix == RECORDS:
            return self._records()
        return iter(self._objects(directory, beginning))

    def delete(self, name: str) -> None:
        """See Storage."""
        directory_name, leaf = self._split(name)
        with (
            system_errors(name),
            suppress(FileNotFoundError),
            self._tree.directory(directory_name) as directory,
        ):
            with suppress(FileNotFoundError):  # an earlier try may have been killed before its sync
                os.unlink(leaf, dir_fd=directory)
            os.fsync(directory)

    def close(self) -> None:
        """See Storage."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def _split(self, name: str) -> tuple[str, str]:
        directory, _, leaf = object_name(name).rpartition("/")
        self._require_open()
        return directory, leaf

    def _records(self) -> Iterator[StoredObject]:
        with system_errors(RECORDS):
            patients = sorted(_names(self._tree, RECORDS.rstrip("/")))
        for patient in patients:
            if is_list_prefix(f"{RECORDS}{patient}/"):
                yield from self._objects(f"{RECORDS}{patient}", "")

    def _objects(self, directory_name: str, beginning: str) -> Sequence[StoredObject]:
        with system_errors(directory_name):
            return sorted(_found(self._tree, directory_name, beginning), key=lambda each: each.name)

    def _new_object(self, directory: int) -> AbstractContextManager[NewObject]:
        return unnamed_object(directory) if self._unnamed else named_object(self._tree)

    def _require_open(self) -> None:
        if self._root < 0:
            raise StorageUnavailable("the storage is closed")


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _finish(new: NewObject, directory: int, leaf: str) -> None:
    os.fsync(new.descriptor)
    new.place(directory, leaf)
    try:
        os.fsync(directory)
    except OSError:
        os.unlink(leaf, dir_fd=directory)  # it is not known to last, so it must not be there
        raise


def _names(tree: Tree, directory_name: str) -> Sequence[str]:
    with suppress(FileNotFoundError), tree.directory(directory_name) as directory:
        return names_in(directory)
    return ()


def _found(tree: Tree, directory_name: str, beginning: str) -> Iterator[StoredObject]:
    with suppress(FileNotFoundError), tree.directory(directory_name) as directory:
        for leaf in names_in(directory):
            name = f"{directory_name}/{leaf}"
            if not leaf.startswith(beginning) or not is_object_name(name):
                continue
            with suppress(FileNotFoundError):  # deleted meanwhile
                status = os.stat(leaf, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield StoredObject(name, status.st_size)


def _require_regular(status: os.stat_result, name: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"a link or something else that VaultQ did not make stands at {name}")
    return status
