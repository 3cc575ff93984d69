"""Certificates and CRLs: docs/spec/certificates.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from tests.fixtures.hospital import Hospital
from tests.vectors.cast import DAY, NOW, POSIX, SERVER, YEAR, Cast, Forger
from tests.vectors.files import Case, b64, unb64
from vaultq_core.crypto.chains import Revocation
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.revocation import RevokedCertificate, sign_crl
from vaultq_core.crypto.x509_profile import alt_public_key

HOUR = dt.timedelta(hours=1)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def pair_cases(cast: Cast) -> Iterator[Case]:
    yield pair("good")
    yield pair("good-last-second", at=POSIX + 365 * DAY)
    yield pair("ended", at=POSIX + 365 * DAY + 1, step=2)
    yield pair("not-begun", at=POSIX - 601, step=2)
    yield pair("of-another-hospital", "stranger-signing", "stranger-tls", step=1)
    yield pair("exchanged", "ada-tls", "ada-signing", step=1)
    yield pair("two-doctors", tls="grace-tls", step=3)
    yield from _forged_signing(cast)
    yield from _forged_tls(cast)
    yield from _revoked(cast)
    yield from _of_a_former_ca(cast)


def _forged_signing(cast: Cast) -> Iterator[Case]:
    forger = Forger(cast)
    own = alt_public_key(cast.ada.keys.signing.ecdsa_p256.public_key())
    yield pair("signing-forged-by-nobody", forger.signing("forged-signing-foreign", issuer=forger.own_pq), step=1)
    yield pair("signing-forged-with-broken-mldsa", forger.signing("forged-signing"), step=4)
    yield pair("signing-forged-around-her-ecdsa-key", forger.signing("forged-signing-ecdsa", extra=own), step=4)
    real = cast.ada.keys.signing.mldsa65.public_key()
    yield pair("signing-issued-again", forger.signing("signing-again", key=real, extra=own), step=4)
    yield pair("signing-without-ecdsa-key", forger.signing("signing-single", key=real, extra=None), step=3)
    p384 = alt_public_key(forger.p384())
    yield pair("signing-with-p384-key", forger.signing("signing-p384", key=real, extra=p384), step=3)
    yield pair("signing-is-a-ca", forger.signing("signing-ca", key=real, extra=own, ca=True), step=3)


def _forged_tls(cast: Cast) -> Iterator[Case]:
    forger = Forger(cast)
    mallory = forger.keys.signing
    forged = x509.load_der_x509_certificate(_der(cast, "forged-signing"))
    yield pair("tls-forged-by-nobody", tls=forger.tls("forged-tls-foreign", issuer=forger.own_doctors), step=1)
    both: dict[str, Any] = {"bound": forged, "alternative": mallory.mldsa65.public_key()}
    yield pair("tls-forged-with-broken-ecdsa", tls=forger.tls("forged-tls", **both), step=4)
    other_key = forger.tls("forged-tls-key", alternative=mallory.mldsa65.public_key())
    yield pair("tls-names-another-mldsa-key", tls=other_key, step=5)
    yield pair("tls-is-for-servers", tls=forger.tls("tls-server", purpose=SERVER), step=3)
    yield pair("tls-has-no-purpose", tls=forger.tls("tls-any", purpose=None), step=3)
    yield pair("tls-is-a-ca", tls=forger.tls("tls-ca", ca=True), step=3)
    yield pair("tls-has-the-signing-key", tls=forger.tls("tls-same", key=_ecdsa(cast)), step=3)
    yield pair("tls-key-is-p384", tls=forger.tls("tls-p384", key=forger.p384()), step=3)
    administrator = "urn:vaultq:admin:ad" + cast.ada.id[2:]
    yield pair("tls-names-an-administrator", tls=forger.tls("tls-admin", urn=administrator), step=3)
    yield pair("tls-has-another-name", tls=forger.tls("tls-name", name="Dr. Ada Byron"), step=3)
    strange = forger.tls("tls-critical", more=[UNKNOWN], critical=True)
    yield pair("tls-has-an-unknown-critical-extension", tls=strange, step=3)
    yield pair("tls-has-an-unknown-extension", tls=forger.tls("tls-unknown", more=[UNKNOWN]))


def _revoked(cast: Cast) -> Iterator[Case]:
    revoke(cast, "rosa", cast.hospital, (NOW + HOUR, None))
    revoke(cast, "rosa-stolen", cast.hospital, (NOW + HOUR, NOW))
    rosa, ended = ("rosa-signing", "rosa-tls"), POSIX + 3600
    yield pair("before-revocation", *rosa, at=ended - 1, crls="rosa")
    yield pair("revoked", *rosa, at=ended, crls="rosa", step=6)
    yield pair("doubtful", *rosa, at=ended - 1, crls="rosa-stolen", doubtful=True)
    yield pair("before-the-key-was-stolen", *rosa, at=POSIX - 1, crls="rosa-stolen")
    yield pair("somebody-else-is-revoked", at=ended, crls="rosa")


def _of_a_former_ca(cast: Cast) -> Iterator[Case]:
    lise, former = ("lise-signing", "lise-tls"), ["former-doctors"]
    yield pair("issued-by-a-former-ca", *lise, former=former)
    yield pair("issued-by-the-present-ca-beside-a-former-one", former=former)
    yield pair("issued-by-a-former-ca-that-is-not-trusted", *lise, step=1)
    yield pair("issued-by-one-former-ca-of-two", *lise, former=["ended-doctors", *former])
    yield pair("former-ca-last-second", *lise, at=POSIX + 3 * DAY, former=former)
    yield pair("former-ca-ended", *lise, at=POSIX + 3 * DAY + 1, former=former, step=2)
    forger = Forger(cast)
    false = Issuer(cast.earlier.doctors.certificate, cast.hospital.doctors.key)
    yield pair("names-a-former-ca-that-did-not-sign", tls=forger.tls("tls-false", issuer=false), former=former, step=1)
    namesake = Issuer(cast.hospital.doctors.certificate, cast.earlier.doctors.key)
    by_former = forger.tls("tls-by-former", issuer=namesake)
    yield pair("signed-by-a-former-ca-in-the-present-ones-name", tls=by_former, former=former, step=1)
    closed = POSIX + 3600
    rows = [RevokedCertificate(cast.lise.tls.serial_number, Revocation(NOW + HOUR, None))]
    last = sign_crl(cast.earlier.doctors, rows, number=9, now=NOW + HOUR, last=True)
    cast.crls |= {"closed-former-doctors": b64(last), "closed-pq": b64(cast.hospital.crls()[0])}
    for name, at, step in (("before-the-former-ca-closed", closed - 1, None), ("former-ca-closed", closed, 6)):
        yield pair(name, *lise, at=at, former=former, crls="closed", step=step)


def ca_cases() -> Iterator[Case]:
    yield cas("good")
    yield cas("good-until-the-end", at=POSIX + 3650 * DAY)
    yield cas("roots-exchanged", hospital_root="pq-root", pq_root="hospital-root", step=1)
    yield cas("a-leaf-as-root", hospital_root="ada-tls", step=1)
    yield cas("pq-under-another-root", pq="other-pq", step=2)
    yield cas("pq-is-ecdsa", pq="doctors", step=2)
    yield cas("pq-root-as-issuing-ca", pq="pq-root", step=2)
    yield cas("pq-is-a-leaf", pq="ada-signing", step=2)
    yield cas("doctors-under-another-root", doctors="other-doctors", step=3)
    yield cas("servers-under-another-root", servers="other-servers", step=3)
    yield cas("doctors-is-a-leaf", doctors="ada-tls", step=3)
    yield cas("with-former", former=["former-doctors", "ended-doctors"])
    yield cas("former-under-another-root", former=["former-doctors", "other-doctors"], step=4)
    yield cas("former-is-a-leaf", former=["ada-tls"], step=4)
    yield cas("former-is-post-quantum", former=["pq"], step=4)
    yield cas("former-has-the-present-ones-name", former=["namesake"], step=4)
    yield cas("former-is-the-present-one", former=["doctors"], step=4)
    yield cas("former-twice", former=["former-doctors", "former-doctors"], step=4)
    yield cas("doctors-and-servers-are-one", servers="doctors", step=4)
    yield cas("issuing-cas-ended", at=POSIX + 3651 * DAY, step=2)
    yield cas("roots-ended", at=POSIX + 7301 * DAY, step=1)


def crl_cases(cast: Cast) -> Iterator[Case]:
    lists = dict(zip(("pq", "doctors"), cast.hospital.crls((cast.rosa, NOW + HOUR, NOW)), strict=True))
    last = sign_crl(cast.earlier.doctors, [], number=9, now=NOW - 5 * YEAR, last=True)
    week = POSIX + 7 * DAY
    for issuer, data in lists.items():
        yield crl(f"good-{issuer}", data, issuer, revoked=1)
        yield crl(f"signature-flipped-{issuer}", data[:-1] + bytes([data[-1] ^ 1]), issuer, step=2)
    yield crl("last-second", lists["pq"], "pq", at=week, revoked=1)
    yield crl("ended", lists["pq"], "pq", at=week + 1, expect="cannot-verify", step=3)
    yield crl("ended-as-old-evidence", lists["pq"], "pq", at=None, revoked=1)
    yield crl("last-of-a-closed-ca", last, "former-doctors", at=POSIX + 3 * DAY)
    yield crl("last-and-its-ca-ended", last, "former-doctors", at=POSIX + 3 * DAY + 1, expect="cannot-verify", step=3)
    yield crl("of-another-ca", lists["doctors"], "servers", step=1)
    yield crl("of-another-hospitals-ca", cast.other.crls()[1], "doctors", step=1)
    yield crl("signed-by-another-key", _signed_by_servers(cast), "doctors", step=2)
    yield crl("delta", _delta(cast), "doctors", step=1)
    yield crl("cut", lists["pq"][:-1], "pq", expect="malformed")


def revoke(cast: Cast, name: str, hospital: Hospital, when: tuple[dt.datetime, dt.datetime | None]) -> None:
    pq, doctors = hospital.crls((cast.rosa, *when))
    cast.crls |= {f"{name}-pq": b64(pq), f"{name}-doctors": b64(doctors)}


def pair(
    name: str,
    signing: str = "ada-signing",
    tls: str = "ada-tls",
    *,
    at: int = POSIX,
    crls: str | None = None,
    former: list[str] | None = None,
    step: int | None = None,
    doubtful: bool = False,
) -> Case:
    case: Case = {"name": name, "signing": signing, "tls": tls, "at": at}
    if crls:
        case["crls"] = {role: f"{crls}-{role}" for role in ("pq", "former-doctors" if former else "doctors")}
    if former:
        case["former"] = former
    return case | (refused(step) if step else {"expect": "ok", "doubtful": doubtful})


def cas(name: str, *, at: int = POSIX, step: int | None = None, **names: str | list[str]) -> Case:
    usual = {each: each.replace("_", "-") for each in ("hospital_root", "pq_root", "pq", "doctors", "servers")}
    return {"name": name, **usual, **names, "at": at} | (refused(step) if step else {"expect": "ok"})


def crl(
    name: str,
    data: bytes,
    issuer: str,
    *,
    at: int | None = POSIX,
    step: int | None = None,
    expect: str | None = None,
    revoked: int = 0,
) -> Case:
    case: Case = {"name": name, "issuer": issuer, "at": at, "data": b64(data)}
    if step or expect:
        return case | refused(step, expect or "not-verified")
    return case | {"expect": "ok", "revoked": revoked}


def refused(step: int | None, code: str = "not-verified") -> Case:
    return {"expect": code, "step": step} if step else {"expect": code}


def _signed_by_servers(cast: Cast) -> bytes:
    hospital = cast.hospital
    return sign_crl(type(hospital.doctors)(hospital.doctors.certificate, hospital.servers.key), [], number=2, now=NOW)


def _delta(cast: Cast) -> bytes:
    doctors = cast.hospital.doctors
    builder = x509.CertificateRevocationListBuilder().issuer_name(doctors.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW + HOUR).add_extension(x509.DeltaCRLIndicator(1), critical=True)
    return builder.sign(doctors.key, hashes.SHA384()).public_bytes(Encoding.DER)


def _der(cast: Cast, name: str) -> bytes:
    return unb64(cast.certificates[name])


def _ecdsa(cast: Cast) -> object:
    return cast.ada.keys.signing.ecdsa_p256.public_key()
