from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.admin_vault import PASSPHRASE, AdminListener, AdminPki, write_home
from vaultq_client.admin.client import AdminClient, connect
from vaultq_client.admin.home import load_admin_home
from vaultq_core.wire.api import DoctorRow

ADA = "dr-0000000001"
WORDS = ("abacus", "abdomen", "abide", "abiding", "ability", "ablaze", "able")


@pytest.fixture(scope="session")
def pki() -> AdminPki:
    return AdminPki()


@pytest.fixture
def listener(pki: AdminPki, tmp_path: Path) -> Iterator[AdminListener]:
    with AdminListener(pki, tmp_path).running() as running:
        yield running


@pytest.fixture
def home(pki: AdminPki, listener: AdminListener, tmp_path: Path) -> Path:
    return write_home(tmp_path / "admin", pki, listener.address)


@pytest.fixture
def admin(home: Path) -> Iterator[AdminClient]:
    with connect(load_admin_home(home), PASSPHRASE) as client:
        yield client


@pytest.fixture
def ada() -> DoctorRow:
    return DoctorRow(doctor=ADA, name="Dr. Ada Lovelace", status="pending", created=1_760_000_000, words=WORDS)
