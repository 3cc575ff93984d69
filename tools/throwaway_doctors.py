"""Doctors of a throw-away vault, enrolled through the clients' libraries over mutual TLS: for benchmarks and tests."""

from __future__ import annotations

import time
from pathlib import Path

from tools.throwaway_vault import ThrowawayVault
from vaultq_client.admin.client import AdminClient, connect
from vaultq_client.admin.home import load_admin_home
from vaultq_client.client import Client
from vaultq_client.enrolment import Application, begin
from vaultq_client.home import Home
from vaultq_client.session import system_clock
from vaultq_client.vault_view import Pins

PASSPHRASE = "a passphrase for a throw-away doctor"  # noqa: S105 - it protects only what is thrown away


def administrator(vault: ThrowawayVault) -> AdminClient:
    """Return the first administrator's client; close it."""
    return connect(load_admin_home(vault.admin_home), vault.admin_passphrase)


def enrol(vault: ThrowawayVault, name: str, home: Path) -> Client:
    """Provision a doctor, enrol from `home`, compare the words, issue, and return the doctor's client; close it."""
    with administrator(vault) as admin:
        given = admin.add_doctor(name)
        application = Application(
            doctor=given.doctor,
            enrolment_address=given.enrolment_address,
            records_address=given.records_address,
            pins=Pins(given.hospital_root_sha256, given.pq_root_sha256),
            password=given.password,
        )
        enrolment = begin(Home(home), application, PASSPHRASE, system_clock)
        try:
            enrolment.state()  # hands the proofs over
            admin.issue(given.doctor, enrolment.words)
            identity = enrolment.finish(enrolment.wait(time.sleep))
        finally:
            enrolment.close()
    return Client(Home(home), identity)
