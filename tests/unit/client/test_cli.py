"""`vaultq` as a doctor types it, in a process of its own, against a small vault."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault, issue_for, patient_of, problem
from tests.unit.client.conftest import PASSPHRASE
from vaultq_client.cli import app
from vaultq_client.home import Home
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import Conflict, IdentityInvalid, NotVerified, Usage, WrongPassphrase
from vaultq_core.wire.manifest import decode_manifest

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    ["enroll"], ["whoami"], ["put"], ["ls"], ["get"], ["resume"], ["verify"], ["grant"], ["grants"],
    ["patient", "add"], ["patient", "find"], ["patient", "ls"],
)  # fmt: skip
EVIL = "\x1b[2J[red]evil[/red]"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(PASSPHRASE + "\n", encoding="utf-8")
    return path


@pytest.fixture
def vaultq(secret_file: Path, tmp_path: Path) -> Run:
    def run(*arguments: object, home: Home) -> subprocess.CompletedProcess[str]:
        options = ("--home", str(home.path), "--passphrase-file", str(secret_file))
        command: Sequence[str] = (sys.executable, "-c", "from vaultq_client.cli import main; main()", *options)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
        given = [*command, *map(str, arguments)]
        return subprocess.run(given, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    return run


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"a scan")
    return path


def two_lines(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    first, second = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    return first, second


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_explains_itself_with_an_example(command: list[str], vaultq: Run, home: Home) -> None:
    done = vaultq(*command, "--help", home=home)

    assert done.returncode == 0
    assert re.search(r"Examples?: vaultq", done.stdout)
    assert "--json" in done.stdout
    assert "\x1b" not in done.stdout


def test_put_ls_get_and_verify(
    vaultq: Run, stored_home: Home, vault: SmallVault, scan: Path, hospital: Hospital, tmp_path: Path
) -> None:
    patient, out, bundle = patient_of(hospital), tmp_path / "out.pdf", tmp_path / "out.vaultq"
    stored = json.loads(vaultq("put", scan, "--patient", patient, "--json", home=stored_home).stdout)
    listed = json.loads(vaultq("ls", patient, "--json", home=stored_home).stdout)
    got = vaultq("get", stored["record"], "-o", out, "--bundle", bundle, home=stored_home)
    write_roots(tmp_path / "roots", hospital)
    verified = vaultq("verify", out, "--bundle", bundle, "--roots", tmp_path / "roots", home=stored_home)

    assert [each["record"] for each in listed] == [stored["record"]]
    assert (got.returncode, out.read_bytes()) == (0, b"a scan")
    assert verified.returncode == 0
    assert [line.split()[0] for line in verified.stdout.splitlines()[:8]] == [*"1234567", "VERIFIED"]
    assert "\x1b" not in verified.stdout + got.stdout
    assert vault.doctor.name in verified.stdout


def write_roots(directory: Path, hospital: Hospital) -> None:
    directory.mkdir()
    anchors = hospital.trust.anchors
    for name, root in (("hospital_root_ca.pem", anchors.hospital), ("hospital_pq_root.pem", anchors.pq)):
        (directory / name).write_bytes(pem(root))


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def test_other_content_is_not_verified(
    vaultq: Run, stored_home: Home, vault: SmallVault, scan: Path, hospital: Hospital, tmp_path: Path
) -> None:
    test_put_ls_get_and_verify(vaultq, stored_home, vault, scan, hospital, tmp_path)
    scan.write_bytes(b"A scan")
    done = vaultq("verify", scan, "--bundle", tmp_path / "out.vaultq", "--roots", tmp_path / "roots", home=stored_home)

    assert done.returncode == NotVerified.exit_status
    assert "step 6" in two_lines(done)[0]
    assert "VERIFIED" not in done.stdout


def test_a_doubtful_record_ends_with_status_3(
    vaultq: Run, stored_home: Home, vault: SmallVault, hospital: Hospital, grace: Doctor, tmp_path: Path
) -> None:
    signed = hospital.signed_manifest(grace, b"content")
    vault.store(signed, b"content")
    hour = dt.timedelta(hours=1)
    vault.revoked = ((grace, hospital.now + hour, hospital.now - hour),)
    done = vaultq("get", decode_manifest(signed.manifest).record, "-o", tmp_path / "out", home=stored_home)

    assert (done.returncode, (tmp_path / "out").read_bytes()) == (3, b"content")
    assert "DOUBTFUL" in done.stderr


def test_an_upload_without_a_receipt_is_resumed(
    vaultq: Run, stored_home: Home, vault: SmallVault, scan: Path, hospital: Hospital
) -> None:
    vault.refusals = [False, problem(503, "unavailable", retry_after=60)]  # the vault's view comes first
    done = vaultq("put", scan, "--patient", patient_of(hospital), home=stored_home)
    assert done.returncode == 75
    assert "vaultq resume" in done.stderr

    again = vaultq("resume", home=stored_home)
    assert (again.returncode, len(vault.records)) == (0, 1)
    assert "stored as" in again.stdout
    assert vaultq("resume", home=stored_home).stdout == "Nothing waits.\n"


def test_remote_text_cannot_forge_the_terminal(
    vaultq: Run, stored_home: Home, vault: SmallVault, hospital: Hospital, ada: Doctor
) -> None:
    vault.store(hospital.signed_manifest(ada, b"x", title="[red]evil[/red]"), b"x")
    done = vaultq("ls", patient_of(hospital), home=stored_home)
    assert "[red]evil[/red]" in done.stdout

    vault.refusals = [problem(404, "not-found", f"gone {EVIL}\nvaultq: all is well")]
    first, _ = two_lines(vaultq("ls", patient_of(hospital), home=stored_home))
    assert "\x1b" not in first
    assert "[red]evil[/red]" in first


def test_an_enrolment_as_the_administrator_hands_it_over(
    vaultq: Run, home: Home, vault: SmallVault, ada: Doctor, secret_file: Path
) -> None:
    vault.enrolling = partial(issue_for, vault.hospital, ada.id, ada.name)
    roots = vault.info().roots
    given = (
        vault.address, ada.id, "--records", vault.address, "--hospital-root", sha256_hex(roots.hospital),
        "--pq-root", sha256_hex(roots.pq).upper(), "--password-file", secret_file,
    )  # fmt: skip
    done = vaultq("enroll", *given, "--json", home=home)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["doctor"] == ada.id
    assert len(done.stderr.splitlines()[1].split()) == 7
    assert vaultq("whoami", home=home).returncode == 0
    again = vaultq("enroll", *given, home=home)
    assert again.returncode == Conflict.exit_status


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["whoami"], IdentityInvalid),
        (["enroll"], Usage),
        (["enroll", "localhost:1"], Usage),
        (["put", "x", "--patient", "p", "--replaces", "r"], Usage),
        (["get", "r", "-o", "-"], Usage),
        (["nonsense"], Usage),
    ],
)
def test_a_mistake_is_one_line_and_a_remedy(vaultq: Run, home: Home, arguments: list[str], kind: type[Usage]) -> None:
    done = vaultq(*arguments, home=home)

    first, remedy = two_lines(done)
    assert (done.returncode, first.endswith(f"[{kind.code}]")) == (kind.exit_status, True)
    assert remedy.startswith("  ")


def test_a_wrong_passphrase_says_so_and_sends_nothing(
    vaultq: Run, stored_home: Home, vault: SmallVault, secret_file: Path
) -> None:
    secret_file.write_text("not the passphrase", encoding="utf-8")
    done = vaultq("whoami", "--json", home=stored_home)

    assert done.returncode == WrongPassphrase.exit_status
    assert json.loads(done.stderr)["code"] == "wrong-passphrase"
    assert vault.asked == []


def test_every_command_is_in_the_list_above() -> None:
    groups = [each.typer_instance for each in app.registered_groups]
    found = [each for group in groups if group for each in group.registered_commands]
    nested = [each for group in groups if group for each in group.registered_groups]

    assert len(found) + sum(
        len(each.typer_instance.registered_commands) for each in nested if each.typer_instance
    ) == len(COMMANDS)
