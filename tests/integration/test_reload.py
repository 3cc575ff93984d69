"""SIGHUP: settings and secrets anew, worker by worker, and no client notices."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, ask, until
from tests.fixtures.forging import CONTENT, Forger
from tools.throwaway_vault import command
from vaultq_client.manifests import RecordDetails
from vaultq_core.wire import paths
from vaultq_core.wire.limits import MIB

HALF = 2 * MIB
LARGE = CONTENT * 200_000


def reload(vault: Vault, outcome: str = "reloaded") -> dict[str, Any]:
    """Send SIGHUP and return the log's line on what came of it."""
    before = len(vault.events(outcome))
    os.kill(vault.pid, signal.SIGHUP)
    until(lambda: len(vault.events(outcome)) > before, outcome)
    return vault.events(outcome)[-1]


@contextmanager
def changed(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """Let a file say something else while the block runs; its mode stays."""
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def test_clients_that_keep_asking_and_uploading_meet_no_error(vault: Vault, ada: EnrolledDoctor) -> None:
    """The third client is a plain one that tries nothing twice."""
    patient, over = ada.new_patient(), threading.Event()

    def uploads() -> int:
        count = 0
        with closing(ada.reopened()) as client:
            while not over.is_set():
                assert (
                    client.put(ada.file(b"x" * 300_000, f"{count}.txt"), RecordDetails(patient=patient)).patient
                    == patient
                )
                count += 1
        return count

    def readings() -> int:
        count = 0
        with closing(ada.reopened()) as client:
            while not over.is_set():
                client.records(patient)
                count += 1
        return count

    def plain_calls() -> int:
        count = 0
        while not over.is_set():
            with closing(vault.connection("records", ada.tls)) as connection:
                closes = False
                while not (closes or over.is_set()):
                    answer = ask(connection, "GET", paths.VAULT)
                    assert answer.status == 200
                    closes = answer.headers.get("connection") == "close"
                    count += 1
        return count

    first = set(vault.workers())
    with ThreadPoolExecutor(3) as clients:
        running = [clients.submit(each) for each in (uploads, readings, plain_calls)]
        try:
            for _ in range(3):
                reload(vault)
            until(lambda: not first & set(vault.workers()), "the first workers have ended")
        finally:
            over.set()
        counts = [each.result() for each in running]

    assert min(counts) > 3
    assert len(ada.client.records(patient)) == counts[0]


def test_a_running_upload_outlives_the_worker_that_would_take_the_next(vault: Vault, ada: EnrolledDoctor) -> None:
    patient, forger = ada.new_patient(), Forger(vault, ada)
    frame = forger.frame(forger.sign(forger.manifest(patient, LARGE)), LARGE)

    with closing(vault.connection("records", ada.tls)) as connection:
        connection.putrequest("POST", paths.RECORDS)
        connection.putheader("content-type", paths.FRAME_TYPE)
        connection.putheader("content-length", str(len(frame)))
        connection.endheaders()
        connection.send(frame[:HALF])
        until(lambda: vault.holdings().pending == 1, "the upload has begun")
        reload(vault)
        connection.send(frame[HALF:])
        answer = connection.getresponse()

        assert (answer.status, answer.getheader("connection")) == (201, "close")
    assert [each.length for each in ada.client.records(patient)] == [len(LARGE)]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda text: text.replace("workers = 2", "wrokers = 2"), "config-invalid"),
        (lambda text: text.replace("registry.db", "another.db"), "config-invalid"),
        (lambda text: re.sub(r'_file = ".*"', '_file = "/no-such-file"', text), "not-found"),
    ],
)
def test_a_bad_configuration_is_one_line_and_the_workers_go_on(
    vault: Vault, ada: EnrolledDoctor, spoil: Callable[[str], str], code: str
) -> None:
    workers = vault.workers()
    with changed(vault.made.config, spoil):
        refused = reload(vault, "reload-refused")

    assert (refused["level"], refused["code"]) == ("error", code)
    assert refused["remedy"]
    assert set(workers) <= set(vault.workers())
    ada.client.records(ada.new_patient())


def test_a_wrong_passphrase_at_a_reload_is_tried_once_and_the_workers_go_on(vault: Vault, ada: EnrolledDoctor) -> None:
    workers, refusals = set(vault.workers()), len(vault.events("reload-refused"))
    with changed(vault.made.keystore_passphrase_file, lambda _: "not the passphrase"):
        refused = reload(vault, "reload-refused")
        assert workers <= set(vault.workers())
        ada.client.records(ada.new_patient())

    assert (refused["level"], refused["code"]) == ("error", "wrong-passphrase")
    assert "not the passphrase" not in vault.log()
    assert len(vault.events("reload-refused")) == refusals + 1
    reload(vault)


def test_a_listeners_new_address_needs_a_restart_and_the_log_says_so(vault: Vault, ada: EnrolledDoctor) -> None:
    port = vault.made.ports["records"]
    with changed(vault.made.config, lambda text: text.replace(f"127.0.0.1:{port}", f"127.0.0.2:{port}")):
        reload(vault)

    warned = vault.events("restart-needed")[-1]
    assert (warned["level"], warned["listener"], warned["address"]) == ("warning", "records", f"127.0.0.2:{port}")
    ada.client.records(ada.new_patient())


def test_a_reload_changes_the_number_of_workers(vault: Vault) -> None:
    with changed(vault.made.config, lambda text: text.replace("workers = 2", "workers = 3")):
        assert reload(vault)["workers"] == 3
        assert len(serving(vault)) >= 3
    reload(vault)


def test_each_worker_has_a_row_while_it_serves(vault: Vault) -> None:
    rows = serving(vault)

    assert {pid for pid, *_ in rows} == set(vault.workers())
    assert {keystores for _, keystores in rows} == {vault.keystore_name()}
    assert [(each["pid"], each["keystores"]) for each in status(vault)] == [(pid, [name]) for pid, name in sorted(rows)]
    vault.stop()
    assert (serving(vault), status(vault)) == ([], [])
    vault.start()


def serving(vault: Vault) -> list[tuple[int, str]]:
    return vault.rows("SELECT pid, keystores FROM workers")


def status(vault: Vault) -> list[dict[str, object]]:
    """Return what `vaultq-server status` says of the workers."""
    arguments = (command("vaultq-server"), "status", "--json", "--config", str(vault.made.config))
    done = subprocess.run(arguments, check=True, capture_output=True, env=vault.made.environment)
    return sorted(json.loads(done.stdout)["workers"], key=lambda each: int(each["pid"]))
