"""From a file and what a doctor says about it to the manifest that both signatures cover."""

from __future__ import annotations

import mimetypes
import secrets
import unicodedata
import uuid
from dataclasses import dataclass
from pathlib import Path

from vaultq_client.identity import Identity
from vaultq_client.source_file import SourceFile
from vaultq_core.wire import canonical
from vaultq_core.wire.ids import Line, PatientId, Time, parse
from vaultq_core.wire.manifest import (
    Content,
    Kind,
    Manifest,
    MediaType,
    Replaces,
    SeenCheckpoint,
    decode_manifest,
    file_name,
)
from vaultq_core.wire.suite import VQ_65

ANY_MEDIA_TYPE = "application/octet-stream"
DEFAULT_KIND = "document"


@dataclass(frozen=True, slots=True)
class RecordDetails:
    """What a doctor says about a file; the title is its name, the media type its suffix's, unless said."""

    patient: str
    title: str | None = None
    kind: str = DEFAULT_KIND
    media_type: str | None = None
    replaces: Replaces | None = None


def build_manifest(
    identity: Identity, source: SourceFile, details: RecordDetails, *, created: Time, seen: SeenCheckpoint | None
) -> Manifest:
    """Return the manifest under a fresh record id. Raises Malformed for a detail that the format does not allow."""
    name = file_name(_nfc(source.path.name))
    manifest = Manifest(
        suite=VQ_65,
        vault=identity.anchors.vault,
        record=str(uuid.uuid4()),
        patient=parse(details.patient, PatientId, "patient id"),
        author=identity.doctor,
        signing_certificate=identity.signing_certificate,
        tls_certificate=identity.tls_certificate,
        created=created,
        content=Content(sha256=source.sha256, length=source.size, media_type=_media_type(details, name), name=name),
        kind=parse(details.kind, Kind, "kind (like report or x-ray)"),
        title=parse(_nfc(details.title or name), Line, "title of one line and at most 200 characters"),
        replaces=details.replaces,
        blind=secrets.token_bytes(32),
        checkpoint=seen,
    )
    return decode_manifest(canonical.encode(manifest))  # whatever else the format does not allow is refused here


def _media_type(details: RecordDetails, name: str) -> str:
    guessed, encoding = mimetypes.guess_type(Path(name).name)
    fallback = guessed if guessed and encoding is None else ANY_MEDIA_TYPE
    return parse(details.media_type or fallback.lower(), MediaType, "media type (like application/pdf)")


def _nfc(text: str) -> str:
    """Return text in NFC; a file name's bytes that are no UTF-8 become question marks."""
    return unicodedata.normalize("NFC", text.encode(errors="replace").decode())
