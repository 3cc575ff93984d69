"""Renewal of an administrator's certificate over the same key, at a contact with the vault."""

from __future__ import annotations

import datetime as dt

from cryptography.hazmat.primitives.serialization import Encoding

from vaultq_client.admin.client import AdminClient
from vaultq_client.admin.home import AdminHome, replace_certificate
from vaultq_core.crypto.chains import require_in_date, verify_administrator, verify_hospital_ca
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import ADMIN_URN, der, load_certificate, subject_name, subject_urn
from vaultq_core.errors import NotVerified


def renew(home: AdminHome, admin: AdminClient, now: dt.datetime) -> bool:
    """Ask for the newest certificate and keep it for the next command, if it is another one; say whether it is.

    1. The admins CA that comes with it stands under the hospital root, and is in date.
    2. The certificate is one that it issued to an administrator.
    3. It names this administrator and the same key.

    Raises NotVerified, naming the step, and what the vault says; then the present one stays.
    """
    answer = admin.newest_certificate()
    if answer.certificate == der(home.certificate):
        return False
    with step(1):
        issuing = require_in_date(verify_hospital_ca(answer.issuing, home.anchors.hospital), now)
    with step(2):
        found = verify_administrator(answer.certificate, issuing, now)
    renewed, present = load_certificate(answer.certificate), home.certificate
    mine = (subject_urn(present, ADMIN_URN), subject_name(present))  # 3
    if found != mine or renewed.public_key() != present.public_key():
        raise NotVerified("the vault answered with a certificate for another administrator or key", step=3)
    replace_certificate(home, renewed.public_bytes(Encoding.PEM))
    return True
