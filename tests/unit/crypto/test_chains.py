from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fixtures.hospital import Administrator, Doctor, Hospital, build_hospital
from vaultq_core.crypto.chains import verify_administrator, verify_doctor
from vaultq_core.crypto.x509_profile import der
from vaultq_core.errors import NotVerified

HOUR = dt.timedelta(hours=1)


def pem_file(path: Path, *parts: x509.Certificate | x509.CertificateRevocationList) -> str:
    path.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in parts))
    return str(path)


def openssl(arguments: Sequence[str], leaf: x509.Certificate, directory: Path) -> str:
    command = ["openssl", "verify", "-x509_strict", *arguments, pem_file(directory / "leaf.pem", leaf)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def crl_file(path: Path, *lists: bytes) -> str:
    return pem_file(path, *(x509.load_der_x509_crl(each) for each in lists))


@pytest.fixture
def ecdsa_chain(hospital: Hospital, tmp_path: Path) -> list[str]:
    root = pem_file(tmp_path / "root.pem", hospital.hospital_root.certificate)
    issuing = (hospital.doctors, hospital.admins, hospital.servers)
    middle = pem_file(tmp_path / "issuing.pem", *(each.certificate for each in issuing))
    return ["-CAfile", root, "-untrusted", middle]


def test_openssl_accepts_the_tls_certificates_of_doctor_administrator_and_server(
    hospital: Hospital, ada: Doctor, administrator: Administrator, ecdsa_chain: list[str], tmp_path: Path
) -> None:
    _, doctors = hospital.crls()
    checked = [*ecdsa_chain, "-CRLfile", crl_file(tmp_path / "crl.pem", doctors), "-crl_check"]
    assert openssl([*checked, "-purpose", "sslclient"], ada.tls, tmp_path).endswith(": OK\n")
    assert openssl([*ecdsa_chain, "-purpose", "sslclient"], administrator.certificate, tmp_path).endswith(": OK\n")
    server, _ = hospital.server()
    as_server = [*ecdsa_chain, "-purpose", "sslserver", "-verify_hostname", "localhost"]
    assert openssl(as_server, server, tmp_path).endswith(": OK\n")


def test_openssl_refuses_a_revoked_doctor(
    hospital: Hospital, ada: Doctor, grace: Doctor, ecdsa_chain: list[str], tmp_path: Path
) -> None:
    _, doctors = hospital.crls((ada, hospital.now, hospital.now - HOUR))
    checked = [*ecdsa_chain, "-CRLfile", crl_file(tmp_path / "crl.pem", doctors), "-crl_check"]
    assert "certificate revoked" in openssl(checked, ada.tls, tmp_path)
    assert openssl(checked, grace.tls, tmp_path).endswith(": OK\n")


def test_openssl_refuses_a_doctor_as_a_server(ada: Doctor, ecdsa_chain: list[str], tmp_path: Path) -> None:
    assert "unsuitable certificate purpose" in openssl([*ecdsa_chain, "-purpose", "sslserver"], ada.tls, tmp_path)


def test_openssl_refuses_another_hospitals_doctor(stranger: Doctor, ecdsa_chain: list[str], tmp_path: Path) -> None:
    assert "unable to get local issuer certificate" in openssl(ecdsa_chain, stranger.tls, tmp_path)


def test_a_doctor_is_known_by_both_certificates(hospital: Hospital, ada: Doctor) -> None:
    verified = hospital.verified(ada)
    assert (verified.id, verified.name, verified.doubtful) == (ada.id, ada.name, False)
    assert verified.not_after == min(ada.signing.not_valid_after_utc, ada.tls.not_valid_after_utc)


def test_certificates_start_ten_minutes_in_the_past_and_never_outlive_their_issuer() -> None:
    hospital = build_hospital("Old General")
    late = hospital.now + dt.timedelta(days=3600)
    doctor = hospital.employ("Dr. Ada Lovelace", now=late)
    assert doctor.tls.not_valid_before_utc == late - dt.timedelta(minutes=10)
    assert doctor.tls.not_valid_after_utc == hospital.doctors.certificate.not_valid_after_utc
    verify_doctor(doctor.pair, hospital.trust, late)


def test_an_administrator_is_told_from_a_doctor(hospital: Hospital, ada: Doctor, administrator: Administrator) -> None:
    admins = hospital.admins.certificate
    known = verify_administrator(der(administrator.certificate), admins, hospital.now)
    assert known == (administrator.id, administrator.name)
    with pytest.raises(NotVerified, match="step 1"):
        verify_administrator(der(ada.tls), admins, hospital.now)
    with pytest.raises(NotVerified, match="step 2"):
        verify_administrator(der(administrator.certificate), admins, hospital.now + dt.timedelta(days=366))
    with pytest.raises(NotVerified, match="step 3"):
        verify_administrator(der(ada.tls), hospital.doctors.certificate, hospital.now)
