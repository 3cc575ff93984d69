"""Every bound that a peer can meet, by name, with its unit, default and reason.

Each is a setting under [limits] of vaultq.toml; docs/errors.md says what exceeding one looks like.
The constants below `Limits` are part of the formats and no settings.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one client may send, hold open or take. Bytes, seconds or counts, as the name says."""

    content_bytes: Positive = 64 * GIB  # a whole-slide image is 4 GiB; far under Cobblestone's 4 PiB
    api_body_bytes: Positive = 256 * KIB  # enrolment and admin JSON; two CSRs are 12 kB
    connections_per_listener: Positive = 512  # each holds a socket and about 100 kB of buffers
    uploads_per_doctor: Positive = 4  # each holds a thread of the stream pool
    stream_threads: Positive = 32  # uploads and downloads at once, a worker
    short_threads: Positive = 16  # everything else, a worker
    handshake_seconds: Seconds = 10.0  # a satellite link needs about 3
    idle_seconds: Seconds = 75.0  # an open connection without a request
    stall_seconds: Seconds = 20.0  # a ward's WLAN roams in under 10
    upload_bytes_per_second: Positive = 4 * KIB  # a slower upload is an attack on threads
    password_attempts: Positive = 5  # 60 random bits and 5 tries
    password_hours: Positive = 72  # a long weekend
    enrolment_attempts_per_minute: Positive = 120  # over all doctors: bcrypt is a CPU sink
    created_skew_hours: Positive = 24  # an author's clock may be this far off
    request_skew_seconds: Positive = 300  # a sealed request's time


# --- parts of the formats -------------------------------------------------------------------------

HEADER_BYTES = 8 * KIB  # JSON header of a frame, an object or a sealed request
MANIFEST_BYTES = 16 * KIB  # the record's manifest; signatures stand beside it, not in it
SIGNED_MANIFEST_BYTES = 96 * KIB  # manifest, two signatures, two certificates, in base64
REQUEST_BYTES = 64 * KIB  # a sealed request, whole
ANSWER_MESSAGE_BYTES = 16 * MIB  # the JSON part of an answer
STATEMENT_BYTES = 32 * KIB  # vault, enrolment and grant statements
CERTIFICATE_BYTES = 16 * KIB  # DER; an ML-DSA-65 one under ML-DSA-87 is 6.8 kB
FORMER_CAS = 8  # former issuing CAs of a role: one a year for most of a CA's life
CRL_BYTES = 4 * MIB  # 100,000 revocations
NOTE_BYTES = 16 * KIB  # a checkpoint with its signatures
PROOF_BYTES = 64 * KIB  # a receipt: entry, path and checkpoint
ENTRY_BYTES = 8 * KIB  # one entry of the log
PROBLEM_BYTES = 16 * KIB  # an RFC 9457 body
VAULT_INFO_BYTES = 16 * MIB  # certificates and CRLs of one vault
PAGE_ITEMS = 500  # rows of one page of a listing
GRANT_CHAIN = 16  # grants from the founder to the reader
SIGNED_GRANT_BYTES = 128 * KIB  # statement, signatures and certificates, in base64
