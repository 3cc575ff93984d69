"""`vaultq-server check`: every failure is provoked for real, and named without stopping the other checks."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from softhsm.make_token import make_token
from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tools.throwaway_vault import ThrowawayVault, command
from vaultq_core.server.checks.findings import Finding, Verdict
from vaultq_core.server.checks.run import examine
from vaultq_core.spi.keystore import EC_P384
from vaultq_core.spi.names import checkpoint_name
from vaultq_core.spi.secrets import Secret
from vaultq_keystore_file.plugin import FileSettings, create

FAILED = 4
HARMLESS = {"tls", "time service"}  # these warn where this machine is old, or nothing sets its clock

Checks = dict[str, dict[str, str]]


def run_check(made: ThrowawayVault) -> tuple[int, Checks]:
    """Return the exit status, and what stands under each subject."""
    arguments = (command("vaultq-server"), "check", "--json", "--config", str(made.config))
    done = subprocess.run(
        arguments, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=made.environment
    )
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    verdicts = [each["verdict"] for each in report["checks"]]
    assert (report["failed"], report["warnings"]) == (verdicts.count("failed"), verdicts.count("warning"))
    return done.returncode, {each["subject"]: each for each in report["checks"]}


def of_verdict(checks: Checks, verdict: str) -> set[str]:
    return {subject for subject, each in checks.items() if each["verdict"] == verdict}


@pytest.fixture
def made(founded: ThrowawayVault, tmp_path: Path) -> ThrowawayVault:
    """A vault of the test's own that nobody serves."""
    return founded.copy(tmp_path / "copy")


def everything(directory: Path) -> dict[str, bytes]:
    """Return every file but the log, those that come and go with each reader, and SoftHSM's of a login."""
    passing = re.compile(r"registry\.db-.*|server\.log|token\.(object|lock)")
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not passing.fullmatch(path.name)
    }


def test_a_vault_that_runs_is_well_and_is_not_changed(vault: Vault, ada: EnrolledDoctor) -> None:
    ada.put(ada.new_patient())
    holdings, entries = vault.holdings(), vault.log_entries()

    status, checks = run_check(vault.made)

    assert (status, of_verdict(checks, "failed")) == (0, set()), checks
    assert of_verdict(checks, "warning") - HARMLESS == {f"secret {vault.made.keystore_passphrase_file}"}
    for name in vault.made.ports:
        assert "served by this vault; its TLS chooses X25519" in checks[f"listener {name}"]["detail"]
    assert (vault.holdings(), vault.log_entries()) == (holdings, entries)
    assert [path.stem for path in vault.checkpoints() if path.stem == "0" * 20] == []


def test_a_vault_that_nobody_serves_is_left_byte_for_byte_as_it_was(made: ThrowawayVault) -> None:
    before = everything(made.directory)

    status, checks = run_check(made)

    assert (status, everything(made.directory)) == (0, before)
    assert all(checks[f"listener {name}"]["detail"].endswith("is free") for name in made.ports)


def test_people_get_a_line_a_thing_and_what_to_do(made: ThrowawayVault) -> None:
    arguments = (command("vaultq-server"), "check", "--config", str(made.config))
    wrong_passphrase(made)

    done = subprocess.run(
        arguments, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=made.environment
    )

    assert done.returncode == FAILED
    lines = done.stdout.splitlines()
    found = next(number for number, line in enumerate(lines) if line.startswith("failed   keystore: "))
    assert "[wrong-passphrase]" in lines[found]
    assert lines[found + 1].startswith(("         -> Check the passphrase.", "         -> Check the PIN"))
    assert lines[-1].endswith("1 failed")
    assert "not the passphrase" not in done.stdout


def wrong_passphrase(made: ThrowawayVault) -> None:
    made.keystore_passphrase_file.write_text("not the passphrase\n")


def missing_passphrase(made: ThrowawayVault) -> None:
    made.keystore_passphrase_file.unlink()


def readable_passphrase(made: ThrowawayVault) -> None:
    made.keystore_passphrase_file.chmod(0o644)


def missing_keystore(made: ThrowawayVault) -> None:
    made.keystore_place.rename(made.directory / "away")


def damaged_keystore(made: ThrowawayVault) -> None:
    place = made.keystore_place
    for path in [place] if place.is_file() else place.rglob("token.object"):
        path.write_bytes(b"{}")


def empty_keystore(made: ThrowawayVault) -> None:
    """The passphrase is right, and the keys are not there."""
    secret = made.keystore_passphrase_file.read_text().strip()
    if made.keystore == "file":
        made.keystore_place.unlink()
        create(FileSettings(path=str(made.keystore_place)), lambda: Secret(secret)).close()
    else:
        shutil.rmtree(made.token.directory)
        make_token(made.token.directory, pin=secret)


def other_ca_key(made: ThrowawayVault) -> None:
    with Vault(made).desk() as desk:
        certified = desk.keystore.current_key("doctors-ca")
        desk.keystore.create_key("doctors-ca", EC_P384)
        desk.keystore.destroy_key(certified)


def missing_storage(made: ThrowawayVault) -> None:
    shutil.rmtree(made.objects)


def storage_that_takes_nothing(made: ThrowawayVault) -> None:
    """A file stands where a directory has to be."""
    shutil.rmtree(made.objects / "log", ignore_errors=True)
    (made.objects / "log").touch()


def newer_checkpoint(made: ThrowawayVault) -> None:
    path = made.objects / checkpoint_name(999)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def missing_registry(made: ThrowawayVault) -> None:
    (made.directory / "registry.db").unlink()


def open_registry(made: ThrowawayVault) -> None:
    (made.directory / "registry.db").chmod(0o644)


def change(made: ThrowawayVault, statement: str) -> None:
    with closing(sqlite3.connect(made.directory / "registry.db")) as database, database:
        database.execute(statement)


def older_schema(made: ThrowawayVault) -> None:
    change(made, "UPDATE alembic_version SET version_num = '0001'")


def longer_head(made: ThrowawayVault) -> None:
    change(made, "UPDATE log_head SET size = size + 1")


def lost_entry(made: ThrowawayVault) -> None:
    change(made, "DELETE FROM log_entries WHERE log_index = 0")


def damaged_ca(made: ThrowawayVault) -> None:
    change(made, "UPDATE issuing_cas SET der = zeroblob(100) WHERE role = 'doctors'")


def damaged_sealed_key(made: ThrowawayVault) -> None:
    change(made, "UPDATE sealed_keys SET wrapped = (SELECT wrapped FROM sealed_keys WHERE name = 'row-key')")


PROVOKED: list[tuple[Callable[[ThrowawayVault], None], str, str]] = [
    (wrong_passphrase, "keystore", "[wrong-passphrase]"),
    (missing_passphrase, "keystore", "[not-found]"),
    (readable_passphrase, "keystore", "[insecure-file]"),
    (missing_keystore, "keystore", "[keystore-"),
    (damaged_keystore, "keystore", "[malformed]|[keystore-unavailable]"),
    (empty_keystore, "wrapping", "[key-not-found]"),
    (other_ca_key, "signing doctors-ca", "holds no key doctors-ca of the certificate"),
    (missing_storage, "storage", "[storage-"),
    (storage_that_takes_nothing, "storage", "[storage-"),
    (newer_checkpoint, "checkpoint", "the registry is older than the storage"),
    (missing_registry, "registry", "does not exist [config-invalid]"),
    (open_registry, "registry", "[insecure-file]"),
    (older_schema, "registry", "older one than this VaultQ"),
    (longer_head, "log", "[record-damaged]"),
    (lost_entry, "log", "[record-damaged]"),
    (damaged_ca, "keys", "not an X.509 certificate [not-verified]"),
    (damaged_sealed_key, "keys", "[not-verified]"),
]


@pytest.mark.parametrize(("provoke", "subject", "text"), PROVOKED, ids=[each[0].__name__ for each in PROVOKED])
def test_a_failure_is_named_with_its_remedy_and_the_other_checks_go_on(
    made: ThrowawayVault, provoke: Callable[[ThrowawayVault], None], subject: str, text: str
) -> None:
    provoke(made)
    before = everything(made.directory)

    status, checks = run_check(made)

    assert status == FAILED
    assert checks[subject]["verdict"] == "failed", checks[subject]
    assert any(each in checks[subject]["detail"] for each in text.split("|")), checks[subject]
    assert checks[subject]["remedy"]
    assert {
        "configuration",
        "registry",
        "room of the data directory",
        *(f"listener {each}" for each in made.ports),
    } <= (checks.keys())
    assert everything(made.directory) == before
    if subject == "keystore":
        assert of_verdict(checks, "failed") == {"keystore"}
        assert "could not be opened" in checks["keys"]["detail"]


def test_a_wrong_setting_is_named_and_nothing_is_opened(made: ThrowawayVault) -> None:
    made.config.write_text(made.config.read_text().replace("workers =", "wrokers ="))

    status, checks = run_check(made)

    assert (status, set(checks)) == (FAILED, {"configuration"})
    assert "wrokers" in checks["configuration"]["detail"]


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Listen as a process that speaks no TLS."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_a_foreign_process_at_a_port_is_told_from_the_vault(made: ThrowawayVault) -> None:
    with listening(made.ports["admin"]):
        status, checks = run_check(made)

    assert status == FAILED
    assert "another process listens" in checks["listener admin"]["detail"]
    assert of_verdict(checks, "failed") == {"listener admin"}


def test_another_vault_at_a_port_is_told_from_this_one(vault: Vault, made: ThrowawayVault) -> None:
    text = made.config.read_text().replace(f":{made.ports['records']}", f":{vault.made.ports['records']}")
    made.config.write_text(text)

    status, checks = run_check(made)

    assert status == FAILED
    assert "no server of this vault" in checks["listener records"]["detail"]


MOVED = [
    (dt.timedelta(hours=-1), "clock", Verdict.FAILED),
    (dt.timedelta(days=3), "revocation list of CN=St. Elsewhere doctors CA", Verdict.WARNING),
    (dt.timedelta(days=8), "revocation list of CN=St. Elsewhere doctors CA", Verdict.FAILED),
    (dt.timedelta(days=12), "vault statement", Verdict.WARNING),
    (dt.timedelta(days=36), "vault statement", Verdict.FAILED),
    (dt.timedelta(days=345), "administrators", Verdict.WARNING),
    (dt.timedelta(days=400), "administrators", Verdict.FAILED),
    (dt.timedelta(days=9.5 * 365), "issuing CA doctors", Verdict.WARNING),
    (dt.timedelta(days=11 * 365), "issuing CA doctors", Verdict.FAILED),
    (dt.timedelta(days=19 * 365), "root pq", Verdict.WARNING),
    (dt.timedelta(days=21 * 365), "root hospital", Verdict.FAILED),
]


@pytest.mark.parametrize(("moved", "subject", "verdict"), MOVED)
def test_what_ends_is_warned_of_before_and_named_after(
    founded: ThrowawayVault, monkeypatch: pytest.MonkeyPatch, moved: dt.timedelta, subject: str, verdict: Verdict
) -> None:
    monkeypatch.chdir(founded.directory)

    with founded.as_environment():
        found = {each.subject: each for each in examine(founded.config, None, dt.datetime.now(dt.UTC) + moved)}

    finding: Finding = found[subject]
    assert finding.verdict is verdict, finding
    assert finding.remedy
