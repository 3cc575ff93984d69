"""A doctor's home at a small vault that serves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault, patient_of, serving
from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_client.identity import Identity, store_identity
from vaultq_client.manifests import RecordDetails
from vaultq_core.crypto.passphrase import Cost

CONTENT = b"a scan " * 10_000
PASSPHRASE = "seven green bottles on a wall"
CHEAP = Cost(iterations=2, lanes=1, memory_kib=19 * 1024)


def identity_of(hospital: Hospital, doctor: Doctor, address: str) -> Identity:
    return Identity(
        doctor=doctor.id,
        name=doctor.name,
        records_address=address,
        anchors=hospital.trust.anchors,
        certificates=doctor.pair,
        keys=doctor.keys,
        outbox_key=bytes(range(32)),
    )


@pytest.fixture
def clock(hospital: Hospital) -> Callable[[], dt.datetime]:
    return lambda: hospital.now


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def vault(hospital: Hospital, ada: Doctor, tmp_path: Path) -> Iterator[SmallVault]:
    """A vault that serves, and knows Ada."""
    with serving(SmallVault(hospital, ada, hospital.vault_keys()), tmp_path) as vault:
        yield vault


@pytest.fixture
def identity(hospital: Hospital, ada: Doctor, vault: SmallVault) -> Identity:
    """Ada at that vault."""
    return identity_of(hospital, ada, vault.address)


@pytest.fixture
def client(home: Home, identity: Identity, clock: Callable[[], dt.datetime]) -> Iterator[Client]:
    with Client(home, identity, now=clock) as client:
        yield client


@pytest.fixture
def stored_home(home: Home, identity: Identity) -> Home:
    """A home that holds Ada's identity, sealed."""
    store_identity(home, identity, PASSPHRASE, cost=CHEAP)
    return home


@pytest.fixture
def patient(hospital: Hospital) -> str:
    return patient_of(hospital)


@pytest.fixture
def details(patient: str) -> RecordDetails:
    return RecordDetails(patient, title="CT abdomen", kind="report")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.pdf"
