"""The only names an object can have, checked once on the way in and once on the way out.

    vault/<patient id>/<record id>.<16 random characters>.vqr      a record
    log/<20-digit tree size>.ckpt                                  a checkpoint

Whatever is no such name (a traversal, an absolute path, a NUL, a backslash, …) is refused unread.
"""

from __future__ import annotations

import re
from typing import NewType

from vaultq_core.errors import StorageError

ObjectName = NewType("ObjectName", str)
ListPrefix = NewType("ListPrefix", str)

NAME_CHARS = 128
RECORDS = "vault/"
CHECKPOINTS = "log/"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"  # version 4, as wire.ids
_RECORD = rf"vault/{_UUID}/{_UUID}\.[a-z0-9]{{16}}\.vqr"
_CHECKPOINT = r"log/[0-9]{20}\.ckpt"
_NAME = re.compile(rf"{_RECORD}|{_CHECKPOINT}", re.ASCII)
_PREFIX = re.compile(rf"log/|vault/(?:{_UUID}/(?:{_UUID}\.)?)?", re.ASCII)


def object_name(text: str) -> ObjectName:
    """Return the same text, known to be an object's name. Raises StorageError, which does not repeat the text."""
    if not is_object_name(text):
        raise StorageError("this cannot be the name of an object of VaultQ")
    return ObjectName(text)


def is_object_name(text: str) -> bool:
    """Tell whether a file that was found is one of ours."""
    return len(text) <= NAME_CHARS and _NAME.fullmatch(text) is not None


def list_prefix(text: str) -> ListPrefix:
    """Return one of `vault/`, `vault/<patient>/`, `vault/<patient>/<record>.`, `log/`. Raises StorageError."""
    if not is_list_prefix(text):
        raise StorageError("this cannot be the beginning of names of objects of VaultQ")
    return ListPrefix(text)


def is_list_prefix(text: str) -> bool:
    """Tell whether names of ours can begin like this."""
    return len(text) <= NAME_CHARS and _PREFIX.fullmatch(text) is not None


def record_name(patient: str, record: str, suffix: str) -> ObjectName:
    """Return where a record goes; `suffix` is 16 random characters of a-z and 0-9. Raises StorageError."""
    return object_name(f"{RECORDS}{patient}/{record}.{suffix}.vqr")


def checkpoint_name(size: int) -> ObjectName:
    """Return where the checkpoint of a tree of `size` leaves goes. Raises StorageError."""
    return object_name(f"{CHECKPOINTS}{size:020d}.ckpt")
