"""Who appears in the vectors: two hospitals, their doctors, and every certificate that a case needs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.fixtures.hospital import Doctor, Hospital, VaultKeys, build_hospital, doctor_keys, elliptic_key, seed
from tests.vectors.files import Case, b64
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.keys import PublicKey
from vaultq_core.crypto.x509_profile import (
    DOCTOR_URN,
    PERSON_LIFETIME,
    alt_public_key,
    base_builder,
    common_name,
    der,
    hash_for,
    key_usage,
    related_certificate,
)

NOW = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
POSIX = int(NOW.timestamp())
DAY = 86_400
DAYS = dt.timedelta(days=1)
YEAR = 365 * DAYS
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass
class Cast:
    """The actors, and the certificates and CRLs that cases refer to by name."""

    hospital: Hospital = field(default_factory=lambda: build_hospital("St. Elsewhere", NOW))
    other: Hospital = field(default_factory=lambda: build_hospital("Other General", NOW))
    certificates: dict[str, str] = field(default_factory=dict)
    crls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ada = self._enter("ada", self.hospital.employ("Dr. Ada Lovelace"))
        self.grace = self._enter("grace", self.hospital.employ("Dr. Grace Hopper"))
        self.rosa = self._enter("rosa", self.hospital.employ("Dr. Rosa Parks"))
        self.stranger = self._enter("stranger", self.other.employ("Dr. Ada Lovelace"))
        self.earlier = self.hospital.with_new_doctors_ca("St. Elsewhere former doctors CA", NOW - 10 * YEAR + 3 * DAYS)
        self.lise = self._enter("lise", self.earlier.employ("Dr. Lise Meitner"))
        self.add("former-doctors", self.earlier.doctors.certificate)
        self.add("ended-doctors", self.hospital.with_new_doctors_ca("Ended", NOW - 11 * YEAR).doctors.certificate)
        self.add("namesake", self.hospital.with_new_doctors_ca("St. Elsewhere doctors CA").doctors.certificate)
        self.keys: VaultKeys = self.hospital.vault_keys()
        self.other_keys: VaultKeys = self.other.vault_keys()
        for prefix, each in (("", self.hospital), ("other-", self.other)):
            for role in ("hospital_root", "pq_root", "pq", "doctors", "admins", "servers"):
                self.add(f"{prefix}{role.replace('_', '-')}", getattr(each, role).certificate)

    def add(self, name: str, certificate: x509.Certificate) -> str:
        self.certificates[name] = b64(der(certificate))
        return name

    def _enter(self, name: str, doctor: Doctor) -> Doctor:
        self.add(f"{name}-signing", doctor.signing)
        self.add(f"{name}-tls", doctor.tls)
        return doctor

    def file(self) -> Any:
        return {
            "now": POSIX,
            "vault": self.hospital.vault,
            "other_vault": self.other.vault,
            "kem_seed": b64(self.keys.kem_seed),
            "kem_public_key": b64(self.keys.kem.public),
            "log": _log(self.keys),
            "other_log": _log(self.other_keys),
            "doctors": {
                name: {
                    "id": doctor.id,
                    "name": doctor.name,
                    "mldsa65_seed": b64(seed(hospital, doctor.name, "signing")),
                    "ecdsa_p256_private": b64(_scalar(doctor.keys.signing.ecdsa_p256)),
                    "tls_private": b64(_scalar(doctor.keys.tls)),
                }
                for name, doctor, hospital in (
                    ("ada", self.ada, "St. Elsewhere"),
                    ("grace", self.grace, "St. Elsewhere"),
                    ("rosa", self.rosa, "St. Elsewhere"),
                    ("lise", self.lise, "St. Elsewhere"),
                    ("stranger", self.stranger, "Other General"),
                )
            },
            "certificates": self.certificates,
            "crls": self.crls,
        }


def _log(keys: VaultKeys) -> Case:
    public = keys.log.public()
    return {"origin": public.origin, "ed25519": b64(public.ed25519), "mldsa44": b64(public.mldsa44)}


def _scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")


def leaf(
    issuer: Issuer,
    key: PublicKey,
    doctor: Doctor,
    *extras: x509.ExtensionType,
    purpose: ObjectIdentifier | None = None,
    ca: bool = False,
    urn: str | None = None,
    name: str | None = None,
    critical: bool = False,
) -> x509.Certificate:
    """A certificate that may break the profile in one place."""
    uri = x509.UniformResourceIdentifier(urn or DOCTOR_URN + doctor.id)
    builder = (
        base_builder(common_name(name or doctor.name), key, issuer.certificate, now=NOW, lifetime=PERSON_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(key_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    for extra in extras:
        builder = builder.add_extension(extra, critical=critical)
    return builder.sign(issuer.key, hash_for(issuer.key))


class Forger:
    """Certificates as an attacker makes them who owns a CA's algorithm, or none."""

    def __init__(self, cast: Cast) -> None:
        self.hospital, self.ada, self.add = cast.hospital, cast.ada, cast.add
        self.keys = doctor_keys("nowhere", "Mallory")
        self.own_pq = cast.other.pq
        self.own_doctors = cast.other.doctors

    def signing(self, label: str, *, issuer: Issuer | None = None, key: PublicKey | None = None, **odd: Any) -> str:
        """A signing certificate in Ada's name; by default around Mallory's keys, by the real PQ issuing CA."""
        extra = odd.pop("extra", alt_public_key(self.keys.signing.ecdsa_p256.public_key()))
        extras = () if extra is None else (extra,)
        key = key or self.keys.signing.mldsa65.public_key()
        return self.add(label, leaf(issuer or self.hospital.pq, key, self.ada, *extras, **odd))

    def tls(self, label: str, *, bound: x509.Certificate | None = None, **odd: Any) -> str:
        """A TLS certificate in Ada's name, bound to her signing certificate, for her TLS key."""
        issuer = odd.pop("issuer", self.hospital.doctors)
        alternative: mldsa.MLDSA65PublicKey = odd.pop("alternative", self.ada.keys.signing.mldsa65.public_key())
        key = odd.pop("key", self.ada.keys.tls.public_key())
        purpose = odd.pop("purpose", CLIENT)
        extras = [alt_public_key(alternative), related_certificate(bound or self.ada.signing), *odd.pop("more", ())]
        return self.add(label, leaf(issuer, key, self.ada, *extras, purpose=purpose, **odd))

    def p384(self) -> ec.EllipticCurvePublicKey:
        return elliptic_key(ec.SECP384R1(), "nowhere", "Mallory").public_key()
