"""What a new doctor is given: the command to type, and apart from it the one-time password."""

from __future__ import annotations

import shlex

from vaultq_core.wire.api import DoctorProvision


def enrol_command(provision: DoctorProvision) -> str:
    """Return the one line that the doctor types. It holds no secret: the password is asked for."""
    words = (
        "vaultq",
        "enroll",
        provision.enrolment_address,
        provision.doctor,
        "--records",
        provision.records_address,
        "--hospital-root",
        provision.hospital_root_sha256,
        "--pq-root",
        provision.pq_root_sha256,
    )
    return shlex.join(words)
