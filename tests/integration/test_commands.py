"""The commands as people and scripts run them: processes, --json, exit statuses, and errors of two lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.exposed_vault import Vault, until
from tools.throwaway_vault import command, write_secret

SECONDS = 120


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a command line."""

    program: str
    home: Path
    passphrase_file: Path

    def line(self, *arguments: str) -> list[str]:
        start = [command(self.program), "--home", str(self.home), "--passphrase-file", str(self.passphrase_file)]
        return [*start, *arguments]

    def tries(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(*arguments), check=False, capture_output=True, text=True, timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def asks(self, *arguments: str) -> Any:
        """Run a command that has to work; return the one line of JSON that it prints."""
        done = self.tries(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    def is_refused(self, status: int, code: str, *arguments: str) -> dict[str, Any]:
        """Run a command that has to fail, for people and for scripts; return what scripts are told."""
        for_people = self.tries(*arguments)
        lines = for_people.stderr.splitlines()
        assert (for_people.returncode, for_people.stdout) == (status, ""), for_people
        assert lines[0].startswith(f"{self.program}: ")
        assert f"[{code}]" in " ".join(lines)
        assert "Traceback" not in for_people.stderr
        for_scripts = self.tries(*arguments, "--json")
        assert (for_scripts.returncode, for_scripts.stdout) == (status, "")
        problem = json.loads(for_scripts.stderr)
        assert (problem["code"], problem["exit_status"]) == (code, status)
        assert problem["remedy"]
        return dict(problem)


@pytest.fixture(scope="module")
def administrator(vault: Vault) -> Person:
    return Person("vaultq-admin", vault.made.admin_home, vault.made.admin_passphrase_file)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def doctor(administrator: Person, place: Path) -> Person:
    """Enrolled by nothing but commands: the doctor's waits while the administrator compares the words."""
    given = administrator.asks("doctors", "add", "Dr. Ada Lovelace")
    ada = Person("vaultq", place / "ada", write_secret(place / "passphrase", "the analytical engine weaves"))
    password = write_secret(place / "password", given["password"])
    line = given["command"].split()[1:]
    assert given["password"] not in given["command"]
    with _running(ada.line(*line, "--password-file", str(password), "--json"), place / "said") as enrolling:
        row = until(lambda: administrator.asks("doctors", "pending"), "the keys wait")[0]
        assert "  ".join(row["words"]) in (place / "said").read_text(encoding="utf-8")
        administrator.asks("doctors", "issue", row["doctor"], "--words", " ".join(row["words"]))
        out, _ = enrolling.communicate(timeout=SECONDS)
    assert enrolling.returncode == 0
    assert json.loads(out)["doctor"] == given["doctor"] == ada.asks("whoami")["doctor"]
    return ada


@pytest.fixture(scope="module")
def patient(doctor: Person) -> str:
    return str(doctor.asks("patient", "add", "--name", "Erika Mustermann", "--number", "4711")["patient"])


class _running:  # noqa: N801 - reads as a verb
    """A process that is ended with the block, whatever happens in it."""

    def __init__(self, line: list[str], said: Path) -> None:
        self._said = said.open("wb")
        self._process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=self._said, stdin=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self._process

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()


def test_a_records_way_through_the_commands(doctor: Person, patient: str, place: Path, vault: Vault) -> None:
    scan = place / "scan.txt"
    scan.write_bytes(b"no finding")

    stored = doctor.asks("put", str(scan), "--patient", patient, "--title", "CT abdomen", "--kind", "report")
    listed = doctor.asks("ls", patient)
    got = doctor.asks("get", stored["record"], "-o", str(place / "back.txt"), "--bundle", str(place / "back.vaultq"))
    verdict = doctor.asks("verify", str(place / "back.txt"), "--bundle", str(place / "back.vaultq"))

    assert (place / "back.txt").read_bytes() == b"no finding"
    assert [(each["record"], each["title"], each["kind"]) for each in listed] == [
        (stored["record"], "CT abdomen", "report")
    ]
    assert got["sha256"] == stored["sha256"]
    assert (verdict["result"], verdict["record"]) == ("verified", stored["record"])
    assert doctor.asks("patient", "find", "4711")[0]["patient"] == patient
    assert doctor.asks("resume") == []
    (place / "back.txt").write_bytes(b"a finding!")
    refused = doctor.tries("verify", str(place / "back.txt"), "--bundle", str(place / "back.vaultq"), "--json")
    assert (refused.returncode, refused.stdout) == (76, "")
    assert json.loads(refused.stderr)["step"] == 6
    assert vault.object_of(stored["record"]).exists()


def test_people_are_told_in_sentences(doctor: Person, administrator: Person, patient: str) -> None:
    for person, line in ((doctor, ("ls", patient)), (doctor, ("whoami",)), (administrator, ("doctors", "list"))):
        done = person.tries(*line)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip()
        assert not done.stdout.startswith(("{", "["))


def test_an_administrator_sees_doctors_log_and_status(administrator: Person, doctor: Person, vault: Vault) -> None:
    me = doctor.asks("whoami")["doctor"]

    assert {each["doctor"]: each["status"] for each in administrator.asks("doctors", "list")}[me] == "active"
    assert administrator.asks("status")["vault"] == vault.admin_home.anchors.vault
    newest = administrator.asks("log")
    assert newest[-1]["index"] == vault.log_size() - 1


def test_a_refusal_is_told_with_its_exit_status(
    doctor: Person, administrator: Person, patient: str, place: Path
) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    (place / "x.txt").write_bytes(b"x")

    doctor.is_refused(66, "not-found", "ls", nobody)
    doctor.is_refused(65, "malformed", "ls", "../../etc/passwd")
    doctor.is_refused(66, "not-found", "put", str(place / "missing.txt"), "--patient", patient)
    doctor.is_refused(73, "conflict", "get", nobody, "-o", str(place / "x.txt"))
    administrator.is_refused(66, "not-found", "doctors", "revoke", "dr-0000000000", "--reason", "x", "--yes")
    assert (place / "x.txt").read_bytes() == b"x"


def test_a_wrong_passphrase_opens_no_identity(doctor: Person, place: Path) -> None:
    wrong = Person(doctor.program, doctor.home, write_secret(place / "wrong", "not the passphrase at all"))

    wrong.is_refused(77, "wrong-passphrase", "whoami")


def test_a_passphrase_file_that_others_can_read_is_not_read(doctor: Person, place: Path) -> None:
    loose = write_secret(place / "loose", "the analytical engine weaves")
    loose.chmod(0o644)

    Person(doctor.program, doctor.home, loose).is_refused(78, "insecure-file", "whoami")


def test_a_place_without_an_identity_says_so(place: Path, doctor: Person) -> None:
    Person("vaultq", place / "nobody", doctor.passphrase_file).is_refused(78, "identity-invalid", "whoami")


@pytest.fixture
def stopped(vault: Vault) -> Iterator[Vault]:
    vault.stop()
    yield vault
    vault.start()


def test_without_a_vault_commands_say_that_it_cannot_be_reached(
    stopped: Vault, doctor: Person, patient: str, place: Path
) -> None:
    assert stopped.made.server is None
    (place / "later.txt").write_bytes(b"later")

    doctor.is_refused(69, "cannot-connect", "ls", patient)
    assert doctor.asks("whoami")["name"] == "Dr. Ada Lovelace"
