"""`vaultq verify`: content, its bundle and the hospital's two roots; no server needed (docs/spec/bundle.md)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509

from vaultq_client.home import HOSPITAL_ROOT, PQ_ROOT
from vaultq_client.proofs import ProvenRecord, moment
from vaultq_client.revocations import crl_time, with_revocations
from vaultq_client.second_opinions import verify_bundle_again
from vaultq_core.crypto.chains import Trust, TrustAnchors, verify_issuing_cas
from vaultq_core.crypto.frames import exact_content
from vaultq_core.crypto.receipts import verify_record_receipt
from vaultq_core.crypto.records import verify_manifest
from vaultq_core.crypto.statements import verify_vault_statement
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import certificate_hash
from vaultq_core.errors import CannotVerify, Malformed, NotFound
from vaultq_core.private_files import file_errors
from vaultq_core.wire import canonical
from vaultq_core.wire.bundle import Bundle
from vaultq_core.wire.entries import LogEntry
from vaultq_core.wire.limits import CERTIFICATE_BYTES, ENTRY_BYTES
from vaultq_core.wire.manifest import decode_manifest
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.statements import VaultStatement, decode_vault_statement

Told = Callable[[int, str], None]
"""Told each step's number and what it has proven, as it goes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bundle proves of a content.

    `doubtful`: the author's key may have been in other hands when it was logged. `time` is the log time
    (POSIX seconds); `revocations_known_until` says how old the bundle's revocation lists are.
    """

    result: Literal["verified", "doubtful"]
    record: str
    patient: str
    author: str
    author_name: str
    title: str
    sha256: str
    index: int
    time: int
    revocations_known_until: int
    hospital_root_sha256: str
    pq_root_sha256: str
    second_verifier_signatures: int


def verify_bundle(bundle: Bundle, content: Iterable[bytes], anchors: TrustAnchors, told: Told) -> Verdict:
    """Prove who wrote a content, that it is unchanged, and when it was logged.

    1. The issuing CAs stand under the two roots, at the log time that step 4 proves; the servers CA at the
       time of the statement that step 3 proves.
    2. The revocation lists are signed by the CAs that certify doctors.
    3. The vault statement, which names the log's keys, is signed by two CAs.
    4. The log holds the record: both log signatures, the path to the root, an entry about this manifest.
    5. Both of the author's certificates held at log time, and both signatures cover the manifest.
    6. The content has the length and SHA-256 that were signed.
    7. A second, independent verifier finds every ML-DSA signature of 1 to 5 valid too.

    Returns the verdict. Raises NotVerified, naming the step; CannotVerify where something is missing.
    """
    with step(1, "the issuing CAs"):
        trust = _issuing_cas(bundle, anchors)
    told(1, "the issuing CAs stand under the hospital's two roots")
    with step(2, "the revocation lists"):
        trust = with_revocations(trust, bundle.crls, None)
        known_until = _known_until(bundle)
    told(2, f"the revocation lists are the hospital's, of {known_until:%Y-%m-%d %H:%M} UTC")
    with step(3, "the vault statement"):
        statement = verify_vault_statement(bundle.statement, trust, at=None)
    told(3, "the vault statement is signed by both of its CAs")
    proven = _verify_record(bundle, trust, statement, told)  # 4 5
    for _ in exact_content(content, proven.manifest.content, number=6):  # 6
        pass
    told(6, f"the content has the SHA-256 that was signed, {proven.manifest.content.sha256}")
    with step(7):
        count = verify_bundle_again(bundle, trust, statement, proven)
    told(7, f"a second verifier (dilithium-py) agrees on all {count} ML-DSA signatures")
    return _verdict(proven, anchors, known_until, count)


def load_roots(directory: Path) -> TrustAnchors:
    """Return the two roots from a directory's PEM files. Raises CannotVerify without them, Malformed."""
    try:
        return TrustAnchors(_load_pem(directory / HOSPITAL_ROOT), _load_pem(directory / PQ_ROOT))
    except NotFound as error:
        raise CannotVerify(str(error), remedy="Name the directory that holds both roots with --roots.") from None


def _verify_record(bundle: Bundle, trust: Trust, statement: VaultStatement, told: Told) -> ProvenRecord:
    signed = bundle.signed
    with step(4, "the receipt"):
        manifest = decode_manifest(signed.manifest)
        position = verify_record_receipt(decode_receipt(bundle.receipt), manifest, signed.manifest, statement.log)
    at = moment(position.time)
    told(4, f"the log took the record as entry {position.index} on {at:%Y-%m-%d %H:%M:%S} UTC")
    with step(5, "the manifest"):
        verified = verify_manifest(signed, trust, at)
    author = verified.author
    told(5, f"{author.name} ({author.id}) signed it with both keys, certified at that time")
    return ProvenRecord(manifest, verified.hash, author, position)


def _issuing_cas(bundle: Bundle, anchors: TrustAnchors) -> Trust:
    issuing = bundle.issuing
    return verify_issuing_cas(
        anchors,
        pq=issuing.pq,
        doctors=issuing.doctors,
        servers=issuing.servers,
        at=_claimed_log_time(bundle),
        servers_at=moment(decode_vault_statement(bundle.statement.statement).created),
    )


def _claimed_log_time(bundle: Bundle) -> dt.datetime:
    entry = decode_receipt(bundle.receipt).logged.entry
    decoded: LogEntry = canonical.decode(entry, LogEntry, limit=ENTRY_BYTES)
    return moment(decoded.time)


def _known_until(bundle: Bundle) -> dt.datetime:
    until = crl_time(bundle.crls)
    if until is None:
        raise CannotVerify("the bundle holds no revocation list")
    return until


def _verdict(proven: ProvenRecord, anchors: TrustAnchors, known_until: dt.datetime, count: int) -> Verdict:
    manifest = proven.manifest
    return Verdict(
        result="doubtful" if proven.author.doubtful else "verified",
        record=manifest.record,
        patient=manifest.patient,
        author=proven.author.id,
        author_name=proven.author.name,
        title=manifest.title,
        sha256=manifest.content.sha256,
        index=proven.position.index,
        time=proven.position.time,
        revocations_known_until=int(known_until.timestamp()),
        hospital_root_sha256=certificate_hash(anchors.hospital),
        pq_root_sha256=certificate_hash(anchors.pq),
        second_verifier_signatures=count,
    )


def _load_pem(path: Path) -> x509.Certificate:
    with file_errors(path), path.open("rb") as file:
        data = file.read(2 * CERTIFICATE_BYTES)
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        raise Malformed(f"{path} is no certificate in PEM") from None
