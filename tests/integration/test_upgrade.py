"""A vault that version 0.1.0 founded (schema 0001, its clock at 2025-01-01) upgrades and serves."""

from __future__ import annotations

import json
import socket
import sqlite3
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tools.throwaway_vault import ThrowawayVault, command, free_ports
from vaultq_core.registry.schema import newest_schema

FOUNDED = Path(__file__).parents[1] / "fixtures/vaults/0001.tar.gz"
LISTENERS = ("records", "enrolment", "admin")


@pytest.fixture
def former(tmp_path: Path) -> Iterator[ThrowawayVault]:
    directory = tmp_path / "former"
    directory.mkdir(mode=0o700)
    with tarfile.open(FOUNDED) as files:
        files.extractall(directory, filter="tar")
    made = ThrowawayVault(directory, dict(zip(LISTENERS, free_ports(3), strict=True)))
    text = made.config.read_text()
    for name, port in made.ports.items():
        text = text.replace(f'{name} = "127.0.0.1:0"', f'{name} = "127.0.0.1:{port}"')
    made.config.write_text(text)
    yield made
    if made.server is not None:
        made.server.kill()


def run(made: ThrowawayVault, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = (command("vaultq-server"), *arguments, "--config", str(made.config))
    return subprocess.run(given, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def rows(made: ThrowawayVault, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(made.directory / "registry.db")) as database, database:
        return database.execute(query).fetchall()


def test_it_is_refused_until_it_is_upgraded_and_then_serves_the_same_log(former: ThrowawayVault) -> None:
    before = rows(former, "SELECT entry FROM log_entries ORDER BY log_index")
    refused = run(former, "serve")
    assert (refused.returncode, "run `vaultq-server upgrade`" in refused.stderr) == (78, True)

    done = run(former, "upgrade", "--json")

    assert (done.returncode, json.loads(done.stdout)) == (0, {"before": "0001", "after": newest_schema()})
    assert rows(former, "SELECT entry FROM log_entries ORDER BY log_index") == before
    former.start()
    assert json.loads(run(former, "status", "--json").stdout)["schema"] == newest_schema()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root = load_pem_x509_certificate((former.directory / "data/hospital_root_ca.pem").read_bytes())
    context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    with (
        socket.create_connection(("127.0.0.1", former.ports["enrolment"]), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.version() == "TLSv1.3"
    former.stop()
    assert rows(former, "SELECT entry FROM log_entries ORDER BY log_index")[: len(before)] == before


def test_a_second_upgrade_changes_nothing_and_says_so(former: ThrowawayVault) -> None:
    run(former, "upgrade")

    done = run(former, "upgrade")

    assert (done.returncode, "already; nothing was changed" in done.stdout) == (0, True)


def test_it_is_refused_while_the_former_version_serves(former: ThrowawayVault) -> None:
    """A serving worker of schema 0001 is known by the lease that it holds."""
    end = int(time.time()) + 90
    rows(former, f"INSERT INTO leases (name, holder, until) VALUES ('maintenance', 'a/0', {end})")  # noqa: S608

    refused = run(former, "upgrade")

    assert (refused.returncode, "[conflict]" in refused.stderr) == (73, True)
    assert "Stop every `vaultq-server serve`" in refused.stderr
    assert rows(former, "SELECT version_num FROM alembic_version") == [("0001",)]


def test_with_json_an_error_is_one_object(former: ThrowawayVault) -> None:
    (former.directory / "registry.db").unlink()

    for name in ("upgrade", "status"):
        refused = run(former, name, "--json")

        assert (refused.returncode, refused.stdout) == (78, "")
        error = json.loads(refused.stderr)
        assert (error["type"], error["exit_status"]) == ("urn:vaultq:problem:config-invalid", 78)
        assert error["remedy"] == "Run `vaultq-server init` first."


def test_without_a_vault_there_is_nothing_to_upgrade_and_nothing_is_made(former: ThrowawayVault) -> None:
    (former.directory / "registry.db").unlink()

    refused = run(former, "upgrade")

    assert (refused.returncode, "does not exist [config-invalid]" in refused.stderr) == (78, True)
    assert not (former.directory / "registry.db").exists()
