"""The server as processes: restarts, draining, reloading, several workers, and registries that are too old."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, until
from tests.fixtures.forging import CONTENT, Forger, refused_by
from tools.throwaway_vault import command
from vaultq_core.errors import CannotConnect
from vaultq_core.server.services.crls import name, signed_crl
from vaultq_core.wire import paths
from vaultq_core.wire.limits import MIB

CONFIG_INVALID = 78
STOPPING = '"event": "stopping"'
LARGE = CONTENT * 200_000
HALF = 2 * MIB


@pytest.fixture(autouse=True)
def _runs(vault: Vault) -> Iterator[None]:
    """Every test leaves the vault running."""
    yield
    if vault.made.server is None or not vault.made.server.is_running():
        vault.made.server = None
        vault.start()


def test_ready_is_said_once_all_listeners_of_all_workers_serve(vault: Vault) -> None:
    assert vault.made.server is not None
    lines = vault.made.server.lines

    assert lines[-1] == "ready"
    said = dict(line.split(" ", 1) for line in lines[:-1])
    assert said == {each: f"https://127.0.0.1:{port}" for each, port in vault.made.ports.items()}
    assert len(vault.workers()) == 2


def test_both_workers_serve(vault: Vault, ada: EnrolledDoctor) -> None:
    with ExitStack() as opened:

        def connected() -> set[int]:
            opened.enter_context(vault.connect("records", ada.tls))
            return {pid for pid in vault.workers() if _connections_of(pid, vault.made.ports["records"])}

        until(lambda: connected() == set(vault.workers()), "each worker has accepted a connection")


def test_a_restart_keeps_everything(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient("Erika Mustermann", "4711-restart")
    forger = Forger(vault, ada)
    frame = forger.frame(forger.sign(forger.manifest(patient)))
    receipt, before = forger.upload(frame).body, vault.holdings()
    listed, log = ada.client.records(patient), vault.log_entries()

    vault.restart()

    assert vault.holdings() == before
    assert vault.log_entries()[: len(log)] == log
    with ada.reopened() as client:
        assert client.records(patient) == listed
    assert ada.get(listed[0].record) == CONTENT
    assert forger.upload(frame).body == receipt


def test_a_kill_keeps_what_was_acknowledged(vault: Vault, ada: EnrolledDoctor) -> None:
    stored = ada.put(ada.new_patient(), b"acknowledged")

    vault.kill()
    with pytest.raises(CannotConnect), ada.reopened() as client:
        client.records(stored.patient)
    vault.start()

    assert ada.get(stored.record) == b"acknowledged"


def test_sigterm_lets_a_running_upload_finish(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    forger = Forger(vault, ada)
    signed = forger.sign(forger.manifest(patient, LARGE))
    frame = forger.frame(signed, LARGE)
    with closing(vault.connection("records", ada.tls)) as connection, ThreadPoolExecutor(1) as stopping:
        connection.putrequest("POST", paths.RECORDS)
        connection.putheader("content-length", str(len(frame)))
        connection.endheaders()
        connection.send(frame[:HALF])
        until(lambda: vault.holdings().pending == 1, "the upload has begun")
        times = vault.log().count(STOPPING)
        stopped = stopping.submit(vault.stop)
        until(lambda: vault.log().count(STOPPING) > times, "the server begins to stop")
        connection.send(frame[HALF:])
        response = connection.getresponse()
        receipt = response.read()
        stopped.result()

    assert response.status == 201
    assert receipt.startswith(b"c2sp.org/tlog-proof@v1\n")
    vault.start()
    assert [each.length for each in ada.client.records(patient)] == [len(LARGE)]
    assert vault.holdings().pending == 0


def test_sigterm_with_nothing_to_do_ends_at_once_with_status_0(vault: Vault) -> None:
    server = vault.made.server
    assert server is not None

    vault.stop()  # raises unless the status is 0

    assert not server.is_running()


def test_sighup_loads_a_newer_revocation_list(vault: Vault, ada: EnrolledDoctor) -> None:
    """The list is put there without the epoch that the workers follow by themselves."""
    gone = vault.enrol("Dr. Gone")
    with vault.desk() as desk:
        with desk.registry.writing() as tx:
            desk.registry.certificates.revoke(
                tx, gone.client.identity.tls_certificate, now=desk.seconds(), reason="left", log_index=0
            )
        with desk.registry.writing() as tx:
            issuer = desk.authorities.issuer("doctors")
            present = desk.registry.crls.find(tx, name(issuer))
            assert present is not None
            revoked = desk.registry.certificates.revoked_by(tx, name(issuer))
            desk.registry.crls.put(tx, signed_crl(issuer, revoked, present.number + 1, desk.now()))
    pid, workers = vault.pid, vault.workers()

    os.kill(vault.pid, signal.SIGHUP)

    until(lambda: all("certificate revoked" in _alert(vault, gone) for _ in range(6)), "every worker has the list")
    until(lambda: not set(vault.workers()) & set(workers), "the former workers have ended")
    assert vault.pid == pid
    assert ada.client.records(ada.new_patient()) == ()


def test_the_newest_checkpoint_lies_in_storage_alone(vault: Vault, ada: EnrolledDoctor) -> None:
    ada.put(ada.new_patient())

    until(lambda: [path.stem for path in vault.checkpoints()] == [f"{vault.log_size():020d}"], "the checkpoint")

    assert vault.checkpoints()[0].read_text(encoding="utf-8") == vault.value("SELECT note FROM log_head")


def test_a_registry_that_is_older_than_the_checkpoint_is_not_served(vault: Vault, ada: EnrolledDoctor) -> None:
    """Whoever restores an old backup of the database would fork the log."""
    patient = ada.new_patient()
    newest, old = vault.directory / "registry.db", vault.directory / "registry.backup"
    with closing(sqlite3.connect(newest)) as database:
        database.execute("VACUUM INTO ?", (str(old),))
    old.chmod(0o600)
    stored = ada.put(patient)
    vault.stop()
    shutil.copy(newest, vault.directory / "registry.newest")
    _remove_journals(vault.directory)
    shutil.copy(old, newest)

    refused = _serve_once(vault)

    assert refused.returncode == CONFIG_INVALID, refused.stderr
    assert "[config-invalid]" in refused.stderr
    assert "older" in refused.stderr
    assert "Traceback" not in refused.stderr
    _remove_journals(vault.directory)
    shutil.copy(vault.directory / "registry.newest", newest)
    vault.start()
    assert ada.get(stored.record) == b"all is well"


def test_a_second_server_on_the_same_addresses_is_refused_and_the_first_goes_on(
    vault: Vault, ada: EnrolledDoctor
) -> None:
    refused = _serve_once(vault)

    assert (refused.returncode, "[address-in-use]" in refused.stderr) == (71, True)
    assert ada.client.records(ada.new_patient()) == ()


def test_status_tells_what_the_vault_holds_without_a_passphrase(vault: Vault, ada: EnrolledDoctor) -> None:
    ada.put(ada.new_patient())
    secret = vault.made.keystore_passphrase_file
    secret.rename(secret.with_suffix(".away"))
    try:
        done = _run(vault, "status", "--json")
    finally:
        secret.with_suffix(".away").rename(secret)

    assert done.returncode == 0, done.stderr
    assert f'"records": {vault.holdings().records}' in done.stdout
    assert f'"vault": "{vault.admin_home.anchors.vault}"' in done.stdout


def _serve_once(vault: Vault) -> subprocess.CompletedProcess[str]:
    return _run(vault, "serve")


def _run(vault: Vault, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = [command("vaultq-server"), arguments[0], "--config", str(vault.made.config), *arguments[1:]]
    return subprocess.run(
        given,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=vault.made.environment,
    )


def _remove_journals(directory: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (directory / f"registry.db{suffix}").unlink(missing_ok=True)


def _alert(vault: Vault, doctor: EnrolledDoctor) -> str:
    try:
        return refused_by("records", vault.connect("records", doctor.tls))
    except AssertionError:
        return ""


def _connections_of(pid: int, port: int) -> set[str]:
    """Return the inodes of a process's established connections at a local port."""
    rows = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:])
    established = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink())
    return {inode for link in links for inode in established if link == f"socket:[{inode}]"}
