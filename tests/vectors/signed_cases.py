"""What is signed as JSON: manifests, vault statements, grants, enrolments; and canonical JSON itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes

from tests.fixtures.hospital import Doctor, doctor_keys, seed, uuid_of
from tests.vectors.cast import DAY, POSIX, Cast, Forger
from tests.vectors.certificate_cases import refused
from tests.vectors.files import Case, b64, unb64
from vaultq_core.crypto import signatures
from vaultq_core.crypto.enrolment import DoctorKeys, make_enrolment
from vaultq_core.crypto.fingerprints import sha256_hex, spki, word_indices
from vaultq_core.crypto.keys import SigningKeys
from vaultq_core.crypto.signatures import sign_both
from vaultq_core.wire import canonical
from vaultq_core.wire.manifest import Manifest
from vaultq_core.wire.statements import EnrolmentRequest, GrantStatement, VaultStatement
from vaultq_core.words import fingerprint_words

CONTENT = b"Die Patientin ist wohlauf.\n"


def outcome(step: int | None, code: str = "not-verified") -> Case:
    return refused(step, code) if step else {"expect": "ok"}


# --- canonical JSON -------------------------------------------------------------------------------


def canonical_cases(cast: Cast) -> Iterator[Case]:
    good = canonical.encode(cast.hospital.manifest(cast.ada, CONTENT)).decode()
    for name, text in _spellings(good).items():
        yield {"name": name, "data": b64(text.encode()), "expect": "ok" if name == "good" else "malformed"}
    yield {"name": "not-utf-8", "data": b64(good.encode().replace("ü".encode(), b"\xfc", 1)), "expect": "malformed"}
    too_long = f'{good[:-1]},"x":"{"x" * 16_384}"}}'
    yield {"name": "longer-than-a-manifest", "data": b64(too_long.encode()), "expect": "limit-exceeded"}


def _spellings(good: str) -> dict[str, str]:
    first, suite, rest = good.split(",", 2)
    fields = first[1:]
    return {
        "good": good,
        "space": good.replace(",", ", ", 1),
        "newline-at-the-end": good + "\n",
        "byte-order-mark": "\ufeff" + good,
        "field-order": "{" + suite + "," + fields + "," + rest,
        "duplicate-key": good[:-1] + ',"kind":"letter"}',
        "duplicate-key-first-wins": good.replace('"kind":"letter"', '"kind":"other","kind":"letter"'),
        "unknown-field": good[:-1] + ',"note":"x"}',
        "missing-field": good.replace(',"checkpoint":null', ""),
        "escaped-letter": good.replace("letter", "lette\\u0072"),
        "escaped-slash": good.replace("text/plain", "text\\/plain"),
        "escaped-umlaut": good.replace("ü", "\\u00fc"),
        "lone-surrogate": good.replace("befund", "\\ud800"),
        "nfd": unicodedata.normalize("NFD", good),
        "number-as-float": good.replace(f'"created":{POSIX}', f'"created":{POSIX}.0'),
        "number-with-exponent": good.replace(f'"length":{len(CONTENT)}', '"length":27e0'),
        "number-negative": good.replace(f'"length":{len(CONTENT)}', '"length":-1'),
        "number-beyond-2-53": good.replace(f'"length":{len(CONTENT)}', '"length":9007199254740992'),
        "string-for-number": good.replace(f'"length":{len(CONTENT)}', f'"length":"{len(CONTENT)}"'),
        "base64-url": good.replace("/", "_") if "/" in good.split('"blind":"')[1] else good.replace("+", "-"),
        "base64-without-padding": good.replace('=","checkpoint"', '","checkpoint"'),
        "hex-upper-case": good.replace(sha256_hex(CONTENT), sha256_hex(CONTENT).upper()),
        "hash-with-newline": good.replace(sha256_hex(CONTENT), sha256_hex(CONTENT) + "\\n"),
        "uuid-not-version-4": good.replace(uuid_of("St. Elsewhere", "patient"), "00000000-0000-1000-8000-000000000000"),
        "name-is-a-path": good.replace("befund.txt", "../befund.txt"),
        "name-is-a-windows-path": good.replace("befund.txt", "..\\\\befund.txt"),
        "name-is-dot-dot": good.replace("befund.txt", ".."),
        "name-turns-the-direction": good.replace("befund.txt", "befund\u202etxt.exe"),
        "title-with-escape-sequence": good.replace("Entlassungs", "\\u001b[2J"),
        "title-with-c1-control": good.replace("Entlassungs", "\u009b2J"),
        "title-with-two-lines": good.replace("Entlassungs", "a\\nb"),
        "two-values": good + good,
        "cut": good[:-1],
        "empty": "",
        "null": "null",
        "array": f"[{good}]",
        "deep": "[" * 10_000,
    }


# --- manifests ------------------------------------------------------------------------------------


def manifest_cases(cast: Cast) -> Iterator[Case]:
    hospital, ada, grace = cast.hospital, cast.ada, cast.grace
    manifest = hospital.manifest(ada, CONTENT)
    good = canonical.encode(manifest)
    yield signed("good", good, ada)
    for name, step, changes in (
        ("another-vault", 1, {"vault": cast.other.vault}),
        ("reserved-suite", 1, {"suite": "VQ-87"}),
        ("names-another-signing-certificate", 2, {"signing_certificate": sha256_hex(b"")}),
        ("names-another-tls-certificate", 2, {"tls_certificate": sha256_hex(b"")}),
        ("names-another-author", 3, {"author": grace.id}),
    ):
        yield signed(name, canonical.encode(msgspec.structs.replace(manifest, **changes)), ada, step=step)
    for name, data in (
        ("unknown-field", good[:-1] + b',"x":1}'),
        ("space", good + b" "),
        ("nfd", unicodedata.normalize("NFD", good.decode()).encode()),
        ("title-changed-in-spelling", good.replace("ü".encode(), b"\\u00fc", 1)),
    ):
        yield signed(name, data, ada, step=1)
    yield from _wrong_signatures(cast, good)
    yield signed("certificates-of-another-doctor", good, ada, pair="grace", step=2)
    yield signed("certificates-of-another-hospital", good, ada, pair="stranger", step=2)
    yield signed("forged-signing-certificate", good, ada, step=2) | {"signing": "forged-signing"}
    yield signed("forged-tls-certificate", good, ada, step=2) | {"tls": "forged-tls"}
    yield signed("certificates-ended", good, ada, step=2) | {"at": POSIX + 366 * DAY}
    yield signed("by-a-forger-of-one-chain", _naming(cast, manifest), _mallory(cast), step=2, pair="ada") | {
        "signing": "forged-signing"
    }


def _wrong_signatures(cast: Cast, good: bytes) -> Iterator[Case]:
    ada, case = cast.ada, signed("", good, cast.ada)
    changed = good.replace(b"wohlauf", b"krank").replace(b"letter", b"lettre")
    yield case | refused(4) | {"name": "manifest-changed", "manifest": changed.decode()}
    by_grace = signed("", good, cast.grace)
    for part in ("mldsa65", "ecdsa_p256"):
        yield case | refused(4) | {"name": f"{part}-by-another-doctor", part: by_grace[part]}
        yield case | refused(4) | {"name": f"{part}-missing", part: ""}
        yield case | refused(4) | {"name": f"{part}-flipped", part: _flip(case[part])}
    yield case | refused(4) | {"name": "exchanged", "mldsa65": case["ecdsa_p256"], "ecdsa_p256": case["mldsa65"]}
    yield signed("signed-as-a-grant", good, ada, context=signatures.GRANT, step=4)
    yield signed("signed-without-context", good, ada, context=b"", step=4)
    swapped = SigningKeys(ada.keys.signing.mldsa65, ada.keys.tls)
    yield signed("signed-by-the-tls-key", good, ada, keys=swapped, step=4)


def signed(
    name: str,
    data: bytes,
    doctor: Doctor,
    *,
    keys: SigningKeys | None = None,
    context: bytes = signatures.RECORD,
    pair: str | None = None,
    step: int | None = None,
) -> Case:
    both = sign_both(keys or doctor.keys.signing, data, context)
    label = pair or doctor.name.split()[1].lower()
    return {
        "name": name,
        "at": POSIX,
        "manifest": data.decode(),
        "mldsa65": b64(both.mldsa65),
        "ecdsa_p256": b64(both.ecdsa_p256),
        "signing": f"{label}-signing",
        "tls": f"{label}-tls",
    } | outcome(step)


def _mallory(cast: Cast) -> Doctor:
    keys = Forger(cast).keys
    return Doctor(cast.ada.id, cast.ada.name, keys, cast.ada.signing, cast.ada.tls)


def _naming(cast: Cast, manifest: Manifest) -> bytes:
    forged = sha256_hex(unb64(cast.certificates["forged-signing"]))
    return canonical.encode(msgspec.structs.replace(manifest, signing_certificate=forged))


# --- vault statements -----------------------------------------------------------------------------


def statement_cases(cast: Cast) -> Iterator[Case]:
    statement = cast.keys.statement
    yield vault("good", cast, statement)
    yield vault("last-second", cast, statement, at=statement.expires)
    yield vault("ended", cast, statement, at=statement.expires + 1) | refused(4, "cannot-verify")
    yield vault("ended-as-old-evidence", cast, statement, at=None)
    yield vault("an-older-one", cast, statement, lowest_version=2, step=4)
    yield vault("another-vault", cast, msgspec.structs.replace(statement, vault=cast.other.vault), step=3)
    yield vault("reserved-suite", cast, msgspec.structs.replace(statement, suite="VQ-87"), step=3)
    yield vault("not-canonical", cast, canonical.encode(statement) + b" ", step=3)
    good, other = vault("", cast, statement), vault("", cast, statement, by=cast.other)
    yield good | refused(1) | {"name": "mldsa65-of-another-hospital", "mldsa65": other["mldsa65"]}
    yield good | refused(2) | {"name": "ecdsa-of-another-hospital", "ecdsa_p384": other["ecdsa_p384"]}
    yield good | refused(1) | {"name": "mldsa65-missing", "mldsa65": ""}
    yield good | refused(2) | {"name": "ecdsa-missing", "ecdsa_p384": ""}
    changed = canonical.encode(msgspec.structs.replace(statement, version=9)).decode()
    yield good | refused(1) | {"name": "changed", "statement": changed}


def vault(
    name: str,
    cast: Cast,
    statement: VaultStatement | bytes,
    *,
    at: int | None = POSIX,
    lowest_version: int = 0,
    step: int | None = None,
    by: Any = None,
) -> Case:
    hospital: Any = by or cast.hospital
    data = statement if isinstance(statement, bytes) else canonical.encode(statement)
    context = signatures.VAULT_STATEMENT
    return {
        "name": name,
        "at": at,
        "lowest_version": lowest_version,
        "statement": data.decode(),
        "mldsa65": b64(hospital.pq.key.sign(data, context)),
        "ecdsa_p384": b64(signatures.sign_ecdsa(hospital.servers.key, data, context, hashes.SHA384())),
    } | outcome(step)


# --- grants ---------------------------------------------------------------------------------------


class Grants:
    """Signed grants by name; chains refer to them."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.grants: dict[str, Case] = {}

    def give(self, name: str, by: Doctor, to: Doctor, parent: str | None = None, **changes: Any) -> str:
        data = canonical.encode(msgspec.structs.replace(self._statement(name, by, to, parent), **changes))
        case = signed(name, data, by, context=signatures.GRANT)
        self.grants[name] = {("statement" if key == "manifest" else key): value for key, value in case.items()}
        del self.grants[name]["expect"], self.grants[name]["at"]
        return name

    def _statement(self, name: str, author: Doctor, doctor: Doctor, parent: str | None) -> GrantStatement:
        return GrantStatement(
            suite="VQ-65",
            vault=self.cast.hospital.vault,
            grant=uuid_of("grant", name),
            parent=None if parent is None else uuid_of("grant", parent),
            patient=uuid_of("St. Elsewhere", "patient"),
            author=author.id,
            doctor=doctor.id,
            key=sha256_hex(spki(doctor.keys.signing.mldsa65.public_key())),
            role="own",
            created=POSIX,
            until=None,
        )


def grant_cases(cast: Cast) -> tuple[dict[str, Case], list[Case], list[Case]]:
    """The grants, the cases of one grant, and the cases of chains."""
    made = Grants(cast)
    ada, grace, rosa = cast.ada, cast.grace, cast.rosa
    give = made.give
    give("founding", ada, ada)
    give("to-grace", ada, grace, "founding")
    give("to-rosa", grace, rosa, "to-grace", role="write")
    give("to-rosa-read", grace, rosa, "to-grace", role="read", until=POSIX + DAY)
    give("limited", ada, grace, "founding", until=POSIX + DAY)
    give("longer", grace, rosa, "limited", until=POSIX + DAY + 1)
    give("endless", grace, rosa, "limited")
    give("as-long", grace, rosa, "limited", until=POSIX + DAY)
    give("write-to-grace", ada, grace, "founding", role="write")
    give("escalated", grace, rosa, "write-to-grace", role="own")
    give("by-a-writer", grace, rosa, "write-to-grace", role="read")
    give("by-somebody-else", rosa, rosa, "founding")
    give("wrong-parent", grace, rosa, "to-rosa")
    give("without-parent", grace, rosa)
    give("founding-for-another", ada, grace)
    give("founding-read", ada, ada, role="read")
    give("founding-limited", ada, ada, until=POSIX + DAY)
    give("foreign-patient", ada, grace, "founding", patient=uuid_of("another patient"))
    give("old-key", ada, grace, "founding", key=sha256_hex(b"old key"))
    give("other-vault", ada, grace, "founding", vault=cast.other.vault)
    give("other-suite", ada, grace, "founding", suite="VQ-87")
    give("names-another-author", ada, grace, "founding", author=rosa.id)
    chain = ["founding"]
    for number in range(16):
        author, doctor = (ada, grace) if number % 2 == 0 else (grace, ada)
        chain.append(give(f"link-{number}", author, doctor, chain[-1]))
    return made.grants, list(_single_grants(made)), list(_chains(cast, chain))


def _single_grants(made: Grants) -> Iterator[Case]:
    yield {"name": "good", "grant": "to-grace", "at": POSIX, "expect": "ok"}
    yield {"name": "another-vault", "grant": "other-vault", "at": POSIX} | refused(1)
    yield {"name": "reserved-suite", "grant": "other-suite", "at": POSIX} | refused(1)
    yield {"name": "names-another-author", "grant": "names-another-author", "at": POSIX} | refused(2)
    yield {"name": "certificates-ended", "grant": "to-grace", "at": POSIX + 366 * DAY} | refused(2)
    flipped = made.grants["to-grace"]
    made.grants["flipped-mldsa65"] = flipped | {"mldsa65": _flip(flipped["mldsa65"])}
    made.grants["flipped-ecdsa"] = flipped | {"ecdsa_p256": _flip(flipped["ecdsa_p256"])}
    made.grants["role-changed"] = made.grants["to-rosa"] | {
        "statement": made.grants["to-rosa"]["statement"].replace('"role":"write"', '"role":"own"')
    }
    for name in ("flipped-mldsa65", "flipped-ecdsa", "role-changed"):
        yield {"name": name, "grant": name, "at": POSIX} | refused(3)


def _chains(cast: Cast, links: list[str]) -> Iterator[Case]:
    def chain(
        name: str, grants: list[str], doctor: Doctor, *, role: str = "", step: int | None = None, at: int = POSIX
    ) -> Case:
        key = sha256_hex(spki(doctor.keys.signing.mldsa65.public_key()))
        case: Case = {"name": name, "chain": grants, "doctor": doctor.id, "key": key, "at": at}
        case["patient"] = uuid_of("St. Elsewhere", "patient")
        return case | (refused(step) if step else {"expect": "ok", "role": role})

    ada, grace, rosa = cast.ada, cast.grace, cast.rosa
    yield chain("founder", ["founding"], ada, role="own")
    yield chain("given", ["founding", "to-grace"], grace, role="own")
    yield chain("given-on", ["founding", "to-grace", "to-rosa"], rosa, role="write")
    yield chain("as-long-as-its-parent", ["founding", "limited", "as-long"], rosa, role="own")
    yield chain("last-second", ["founding", "to-grace", "to-rosa-read"], rosa, role="read", at=POSIX + DAY)
    yield chain("of-16", links[:16], grace, role="own")
    yield chain("of-17", links[:17], ada, step=1)
    yield chain("empty", [], ada, step=1)
    yield chain("foreign-patient", ["founding", "foreign-patient"], grace, step=1)
    yield chain("without-founding", ["to-grace"], grace, step=2)
    yield chain("founding-for-another", ["founding-for-another"], grace, step=2)
    yield chain("founding-is-not-own", ["founding-read"], ada, step=2)
    yield chain("founding-ends", ["founding-limited"], ada, step=2)
    yield chain("reordered", ["to-grace", "founding", "to-rosa"], rosa, step=2)
    yield chain("a-link-left-out", ["founding", "to-rosa"], rosa, step=3)
    yield chain("wrong-parent", ["founding", "to-grace", "wrong-parent"], rosa, step=3)
    yield chain("without-parent", ["founding", "to-grace", "without-parent"], rosa, step=3)
    yield chain("by-somebody-else", ["founding", "by-somebody-else"], rosa, step=3)
    yield chain("escalated", ["founding", "write-to-grace", "escalated"], rosa, step=3)
    yield chain("by-a-writer", ["founding", "write-to-grace", "by-a-writer"], rosa, step=3)
    yield chain("longer-than-its-parent", ["founding", "limited", "longer"], rosa, step=3)
    yield chain("endless-under-a-limited", ["founding", "limited", "endless"], rosa, step=3)
    yield chain("to-an-old-key", ["founding", "old-key"], grace, step=4)
    yield chain("for-another-doctor", ["founding", "to-grace"], rosa, step=4)
    yield chain("ended", ["founding", "to-grace", "to-rosa-read"], rosa, step=4, at=POSIX + DAY + 1)
    yield chain("parent-ended", ["founding", "limited", "as-long"], rosa, step=4, at=POSIX + DAY + 1)


# --- enrolment ------------------------------------------------------------------------------------


def enrolment_cases(cast: Cast) -> Iterator[Case]:
    ada, vault_id, nonce = cast.ada, cast.hospital.vault, seed("nonce")
    good = make_enrolment(vault_id, ada.id, nonce, ada.keys)
    other = make_enrolment(vault_id, ada.id, nonce, cast.grace.keys)

    def case(name: str, request: EnrolmentRequest, step: int | None = None) -> Case:
        fields = {"vault": vault_id, "doctor": ada.id, "nonce": b64(nonce)}
        return {"name": name, **fields, "request": canonical.encode(request).decode()} | outcome(step)

    words = list(fingerprint_words(good.statement))
    yield case("good", good) | {"indices": list(word_indices(good.statement)), "words": words}
    yield case("another-vault", make_enrolment(cast.other.vault, ada.id, nonce, ada.keys), 1)
    yield case("another-doctor", make_enrolment(vault_id, cast.grace.id, nonce, ada.keys), 1)
    yield case("another-nonce", make_enrolment(vault_id, ada.id, seed("replayed"), ada.keys), 1)
    one_key = DoctorKeys(ada.keys.signing, ada.keys.signing.ecdsa_p256)
    yield case("one-key-in-two-roles", make_enrolment(vault_id, ada.id, nonce, one_key), 2)
    replace = msgspec.structs.replace
    mixed = replace(good.signatures, mldsa65=other.signatures.mldsa65)
    yield case("mldsa65-by-another-key", replace(good, signatures=mixed), 3)
    mixed = replace(good.signatures, ecdsa_p256=other.signatures.ecdsa_p256)
    yield case("ecdsa-by-another-key", replace(good, signatures=mixed), 3)
    yield case("signing-request-of-another-key", replace(good, signing_request=other.signing_request), 4)
    yield case("tls-request-of-another-key", replace(good, tls_request=other.tls_request), 4)
    stolen = DoctorKeys(ada.keys.signing, doctor_keys("nowhere", "Mallory").tls)
    named = _with_request_of(make_enrolment(vault_id, ada.id, nonce, stolen), good, ada.keys.signing)
    yield case("tls-request-names-another-key-than-the-statement", named, 4)


def _with_request_of(request: EnrolmentRequest, other: EnrolmentRequest, keys: SigningKeys) -> EnrolmentRequest:
    """A well-signed statement that names one TLS key and the request of another."""
    fields = msgspec.json.decode(request.statement) | {"tls_request": sha256_hex(other.tls_request)}
    statement = msgspec.json.encode(fields)
    both = sign_both(keys, statement, signatures.ENROLMENT)
    return msgspec.structs.replace(request, statement=statement, signatures=both, tls_request=other.tls_request)


def _flip(text: str) -> str:
    data = bytearray(unb64(text))
    data[len(data) // 2] ^= 1
    return b64(bytes(data))
