"""The sealed file: read, changed under a lock, and known to be the newest.

The passphrase is asked for once and the derived key kept, since deriving takes a third of a second. It is asked
for again only when the file was sealed anew under another salt.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vaultq_core.crypto.passphrase import BOX_BYTES, BoxKey, Cost, read_box
from vaultq_core.errors import Conflict, KeystoreError, KeystoreUnavailable, NotFound, Unavailable
from vaultq_core.private_files import (
    FILE_MODE,
    file_errors,
    private_directory,
    read_private,
    require_private,
    write_private,
)
from vaultq_core.spi.secrets import SecretCallback
from vaultq_core.wire import canonical
from vaultq_keystore_file.contents import Contents

LABEL = "vaultq/keystore/v1"
_BACK = "Put the file back, or mount its disk again; the server then goes on by itself."


@dataclass(frozen=True, slots=True)
class Look:
    """How the file looks from outside; every change gives it another look."""

    inode: int
    modified: int
    changed: int
    size: int


class SealedFile:
    """One file and the key that opens it. Not for several threads at once; for several processes."""

    def __init__(self, path: Path, secret: SecretCallback) -> None:
        self.path = path
        self._secret = secret
        self._key: BoxKey | None = None

    def create(self, cost: Cost) -> None:
        """Make the file with nothing in it. Raises Conflict when there is one."""
        with self.locked():
            if self.path.exists() or self.path.is_symlink():
                raise Conflict(f"there is a keystore at {self.path} already; it was not touched")
            self._key = BoxKey.new(self._secret().reveal(), cost)
            self._write(Contents(), create_only=True)

    def look(self) -> Look:
        """Return how the file looks. Raises KeystoreError when there is none, KeystoreUnavailable when it is gone."""
        with self._errors():
            status = self.path.lstat()
        return Look(status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def load(self) -> Contents:
        """Return what is in the file. Raises WrongPassphrase, InsecureFile, Malformed, or as `look`."""
        with self._errors():
            data = read_private(self.path, BOX_BYTES)
        box = read_box(data, label=LABEL)
        if self._key is None or not self._key.fits(box):
            self._key = BoxKey.of(box, self._secret().reveal())
        return canonical.decode(self._key.unseal(box), Contents, limit=BOX_BYTES)

    def save(self, contents: Contents) -> None:
        """Replace what is in the file; call it inside `locked`, after `load`."""
        self._write(contents, create_only=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the file. Reading needs no lock: the file is replaced whole."""
        with self._errors():
            lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def forget(self) -> None:
        """Drop the derived key."""
        self._key = None

    def _write(self, contents: Contents, *, create_only: bool) -> None:
        if self._key is None:
            raise KeystoreUnavailable("the keystore is closed")
        sealed = self._key.seal(canonical.encode(contents), label=LABEL)
        if len(sealed) > BOX_BYTES:
            raise KeystoreError("the keystore is full", remedy="Destroy keys that nothing cites any more.")
        with self._errors():
            write_private(self.path, sealed, create_only=create_only)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with file_errors(self.path):
                yield
        except NotFound:
            if self._key is None:
                remedy = "Make one with `vaultq-server init`."
                raise KeystoreError(f"there is no keystore at {self.path}", remedy=remedy) from None
            raise KeystoreUnavailable(f"the keystore at {self.path} is not there any more", remedy=_BACK) from None
        except KeystoreUnavailable:
            raise
        except Unavailable as error:
            raise KeystoreUnavailable(str(error)) from None

    def _open_lock(self) -> int:
        path = self.path.absolute().with_name(f"{self.path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with private_directory(path.parent) as directory:
            lock = os.open(path.name, flags, FILE_MODE, dir_fd=directory)
        try:
            require_private(lock, path)
        except BaseException:
            os.close(lock)
            raise
        return lock
