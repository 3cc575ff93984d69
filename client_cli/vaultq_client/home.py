"""The directory of one doctor's client: what lies where. All of it belongs to one user alone.

- identity.vaultq: the sealed identity; enrolment.vaultq: one that is not finished
- outbox/: uploads without a receipt
- seen-<vault>.json: the newest of the vault that was seen
- hospital_root_ca.pem, hospital_pq_root.pem: the pinned roots, for `vaultq verify`
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vaultq_core.private_files import FILE_MODE, file_errors, private_directory

HOSPITAL_ROOT = "hospital_root_ca.pem"
PQ_ROOT = "hospital_pq_root.pem"
_DIRECTORY_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """A client's directory; nothing is read or made until something asks for it."""

    path: Path

    @property
    def identity(self) -> Path:
        """The sealed identity."""
        return self.path / "identity.vaultq"

    @property
    def enrolment(self) -> Path:
        """The sealed enrolment that waits for an administrator."""
        return self.path / "enrolment.vaultq"

    def seen(self, vault: str) -> Path:
        """Return where it is kept what was seen of the vault of this id."""
        return self.path / f"seen-{vault[:16]}.json"

    @property
    def outbox(self) -> Path:
        """The directory of uploads that have no receipt yet."""
        return self.path / "outbox"

    @property
    def roots(self) -> tuple[Path, Path]:
        """The hospital root and the post-quantum root, PEM."""
        return self.path / HOSPITAL_ROOT, self.path / PQ_ROOT

    def prepare(self) -> None:
        """Make the directories, mode 0700. Raises InsecureFile, or Unavailable without the right to."""
        with file_errors(self.path):
            self.path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self.outbox.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            with private_directory(self.path), private_directory(self.outbox):
                pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time read and replace what was seen. Raises InsecureFile, NotFound or Unavailable."""
        lock = self.path / "seen.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with file_errors(lock), private_directory(self.path) as directory:
            descriptor = os.open(lock.name, flags, FILE_MODE, dir_fd=directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
