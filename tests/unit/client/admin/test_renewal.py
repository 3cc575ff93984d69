"""An administrator's certificate is renewed at the end of a command, over the same key, or stays as it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from tests.fixtures.admin_vault import ADMIN, NOW, AdminListener, AdminPki, certificate_answer
from tests.unit.client.admin.test_cli import STATUS, Admin, vaultq_admin
from vaultq_client.admin.client import AdminClient
from vaultq_client.admin.home import load_admin_home
from vaultq_client.admin.renewal import renew
from vaultq_core.crypto.issuing import Issuer, issue_administrator
from vaultq_core.crypto.keys import generate_p256
from vaultq_core.errors import NotVerified
from vaultq_core.wire.api import AdministratorCertificate
from vaultq_core.wire.problem import TYPE_PREFIX, Problem

__all__ = ["vaultq_admin"]

REFUSED = Problem(
    type=TYPE_PREFIX + "keystore-unavailable", title="A title.", status=503, detail="the keystore is away",
    code="keystore-unavailable", remedy="Wait.", request_id="r1", retry_after=3600,
)  # fmt: skip


def renewed(pki: AdminPki, issuer: Issuer) -> x509.Certificate:
    return issue_administrator(ADMIN, "Grace Hopper", pki.grace_key.public_key(), issuer, NOW)


def honest(pki: AdminPki) -> AdministratorCertificate:
    issuer = pki.issuing("admins CA 2")
    return certificate_answer(renewed(pki, issuer), issuer)


def by_another_hospital(pki: AdminPki) -> AdministratorCertificate:
    issuer = AdminPki().admins
    return certificate_answer(renewed(pki, issuer), issuer)


def by_another_ca_than_said(pki: AdminPki) -> AdministratorCertificate:
    return certificate_answer(renewed(pki, pki.issuing("admins CA 2")), pki.issuing("admins CA 3"))


def of_another_administrator(pki: AdminPki) -> AdministratorCertificate:
    key = pki.grace_key.public_key()
    return certificate_answer(issue_administrator("ad-0000000002", "Grace Hopper", key, pki.admins, NOW), pki.admins)


def over_another_key(pki: AdminPki) -> AdministratorCertificate:
    key = generate_p256().public_key()
    return certificate_answer(issue_administrator(ADMIN, "Grace Hopper", key, pki.admins, NOW), pki.admins)


def ended(pki: AdminPki) -> AdministratorCertificate:
    key, then = pki.grace_key.public_key(), NOW - dt.timedelta(days=400)
    return certificate_answer(issue_administrator(ADMIN, "Grace Hopper", key, pki.admins, then), pki.admins)


def test_a_renewed_certificate_is_kept_and_the_key_fits_it(
    admin: AdminClient, listener: AdminListener, home: Path, pki: AdminPki
) -> None:
    answer = honest(pki)
    listener.renewal = 200, answer

    assert renew(load_admin_home(home), admin, NOW)

    found = load_admin_home(home)
    assert found.certificate == x509.load_der_x509_certificate(answer.certificate)
    assert (home / "administrator.crt").stat().st_mode & 0o777 == 0o600
    assert not renew(found, admin, NOW)


@pytest.mark.parametrize(
    ("forged", "at"),
    [
        (by_another_hospital, "step 1"),
        (by_another_ca_than_said, "step 2"),
        (ended, "step 2"),
        (of_another_administrator, "step 3"),
        (over_another_key, "step 3"),
    ],
)
def test_a_certificate_that_is_not_this_administrators_is_refused_and_the_present_one_stays(
    forged: Callable[[AdminPki], AdministratorCertificate],
    at: str,
    admin: AdminClient,
    listener: AdminListener,
    home: Path,
    pki: AdminPki,
) -> None:
    listener.renewal = 200, forged(pki)

    with pytest.raises(NotVerified, match=at):
        renew(load_admin_home(home), admin, NOW)
    assert load_admin_home(home).certificate == pki.grace


def test_a_renewal_that_fails_does_not_fail_the_command(
    vaultq_admin: Admin, listener: AdminListener, home: Path, pki: AdminPki
) -> None:
    listener.answers["GET /v1/status"] = (200, STATUS)
    listener.renewal = 503, REFUSED

    done = vaultq_admin("status", "--json")

    assert (done.status, "was not renewed, it ends in 364 d" in done.err) == (0, True)
    assert "[keystore-unavailable]" in done.err
    listener.renewal = 200, honest(pki)
    assert vaultq_admin("status").err == "The administrator's certificate was renewed; its key is the same.\n"
    assert load_admin_home(home).certificate != pki.grace
