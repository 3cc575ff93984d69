"""What the operating system says, as a VaultQError that an operator can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vaultq_core.errors import ObjectExists, ObjectMissing, StorageError, StorageUnavailable, VaultQError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REDIRECTED = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)  # what O_NOFOLLOW, O_DIRECTORY and O_NONBLOCK say


@contextmanager
def system_errors(what: str) -> Iterator[None]:
    """Translate an OSError about `what`, an object's name or the storage's root."""
    try:
        yield
    except OSError as error:
        raise _translated(error, what) from None


def _translated(error: OSError, what: str) -> VaultQError:
    if error.errno == errno.ENOENT:
        return ObjectMissing(f"there is no {what} in the storage")
    if error.errno == errno.EEXIST:
        return ObjectExists(f"there is a {what} in the storage already")
    if error.errno in _NO_ROOM:
        return StorageUnavailable(
            f"the storage has no room for {what} ({_reason(error)}); nothing of it was kept",
            retry_after=60,
            remedy="Free or add space at the place that [storage.fs] names; a retry is safe then.",
        )
    if error.errno in _REDIRECTED:
        return StorageError(f"a link or something else that VaultQ did not make stands at {what}")
    return StorageUnavailable(f"the storage cannot use {what}: {_reason(error)}")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0)
