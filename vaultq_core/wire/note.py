"""Signed notes and checkpoints as text (C2SP signed-note, tlog-checkpoint); no signature is checked here."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.limits import NOTE_BYTES

_DASH = "\N{EM DASH} "
_CHECKPOINT = re.compile(r"([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n")
_SIGNATURE = re.compile(rf"{_DASH}([^\s+]+) ([A-Za-z0-9+/]+={{0,2}})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # C2SP signed-note: none but the newline
_MOST_SIGNATURES = 16


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, signature bytes."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note's text (with its final newline) and its signature lines."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class CheckpointBody:
    """What a checkpoint says: the log's origin, its size in leaves, its root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text: three lines, no extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def encode_note(note: SignedNote) -> str:
    """Return the note with its signature lines (C2SP signed-note, "Format")."""
    lines = (
        f"{_DASH}{each.name} {base64.b64encode(each.key_id + each.signature).decode()}\n" for each in note.signatures
    )
    return f"{note.text}\n{''.join(lines)}"


def decode_note(data: str) -> SignedNote:
    """Return the note. Raises Malformed, or LimitExceeded above NOTE_BYTES or 16 signatures."""
    if len(data) > NOTE_BYTES:
        raise LimitExceeded(f"a note has {len(data)} characters; the limit is {NOTE_BYTES}")
    if _CONTROL.search(data):
        raise Malformed("a note holds a control character")
    head, separator, tail = data.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise Malformed("a note has no signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise LimitExceeded(f"a note has {len(lines)} signatures; the limit is {_MOST_SIGNATURES}")
    return SignedNote(head + "\n", tuple(_signature(line) for line in lines))


def decode_checkpoint_body(text: str) -> CheckpointBody:
    """Return what a note's text says as a checkpoint. Raises Malformed; extension lines are refused."""
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise Malformed("a checkpoint is three lines: origin, size, root")
    root = decode_base64(match[3])
    return CheckpointBody(match[1], int(match[2]), root)


def decode_base64(text: str) -> bytes:
    """Return the bytes of canonical, padded, standard base64 (RFC 4648, 4). Raises Malformed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("a base64 value cannot be decoded") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed("a base64 value is not canonical")
    return data


def _signature(line: str) -> NoteSignature:
    match = _SIGNATURE.fullmatch(line)
    data = decode_base64(match[2]) if match else b""
    if match is None or len(data) <= 4:  # noqa: PLR2004 - key id alone
        raise Malformed("a signature line of a note cannot be decoded")
    return NoteSignature(match[1], data[:4], data[4:])
