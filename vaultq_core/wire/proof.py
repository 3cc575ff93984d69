"""A receipt: the C2SP tlog-proof of one entry, with the entry and its salt as extra data (docs/spec/receipt.md)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire import canonical
from vaultq_core.wire.ids import Salt
from vaultq_core.wire.limits import ENTRY_BYTES, PROOF_BYTES
from vaultq_core.wire.note import decode_base64

PROOF_MAGIC = "c2sp.org/tlog-proof@v1"
MOST_PATH_HASHES = 63
HASH_BYTES = 32

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


class LoggedEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry's exact bytes and the salt its leaf hides behind. Not authenticated by itself."""

    entry: Annotated[bytes, msgspec.Meta(max_length=ENTRY_BYTES)]
    salt: Salt


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the log holds an entry: `index`, sibling hashes from leaf to root, the signed checkpoint's text."""

    logged: LoggedEntry
    index: int
    path: tuple[bytes, ...]
    checkpoint: str


def encode_receipt(receipt: Receipt) -> str:
    """Return the receipt as a tlog-proof (C2SP tlog-proof, "Format")."""
    extra = base64.b64encode(canonical.encode(receipt.logged)).decode()
    path = "".join(base64.b64encode(each).decode() + "\n" for each in receipt.path)
    return f"{PROOF_MAGIC}\nextra {extra}\nindex {receipt.index}\n{path}\n{receipt.checkpoint}"


def decode_receipt(text: str) -> Receipt:
    """Return the receipt. Raises Malformed, or LimitExceeded above PROOF_BYTES."""
    if len(text) > PROOF_BYTES:
        raise LimitExceeded(f"a receipt has {len(text)} characters; the limit is {PROOF_BYTES}")
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or len(lines) < 3 or lines[0] != PROOF_MAGIC or not lines[1].startswith("extra "):  # noqa: PLR2004
        raise Malformed("this is not a receipt with extra data (C2SP tlog-proof)")
    index = _INDEX.fullmatch(lines[2])
    if index is None or len(lines) - 3 > MOST_PATH_HASHES:
        raise Malformed("a receipt's index or path cannot be decoded")
    extra = decode_base64(lines[1].removeprefix("extra "))
    logged = canonical.decode(extra, LoggedEntry, limit=PROOF_BYTES)
    return Receipt(logged, int(index[1]), tuple(_hash(line) for line in lines[3:]), checkpoint)


def _hash(line: str) -> bytes:
    data = decode_base64(line)
    if len(data) != HASH_BYTES:
        raise Malformed("a hash of a receipt's path has not 32 bytes")
    return data
