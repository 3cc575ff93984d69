from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.admin_vault import PASSPHRASE, AdminListener
from vaultq_client.admin.cli import app
from vaultq_client.ui import run
from vaultq_core.wire.api import (
    Change,
    DoctorIssue,
    DoctorProvision,
    DoctorRow,
    Doctors,
    LogPage,
    LogRow,
    ServerStatus,
)

ADA = "dr-0000000001"
PASSWORD = "k7q2-m4xw-9tzv"
CHANGE = Change(index=7, time=1_760_000_000)
PENDING = "GET /v1/doctors/pending?limit=500"
DOCTORS = "GET /v1/doctors?limit=500"
PROVISION = DoctorProvision(
    doctor=ADA,
    name="Dr. Ada Lovelace",
    password=PASSWORD,
    expires=4_000_000_000,
    enrolment_address="https://vault.example.org:8444",
    records_address="https://vault.example.org:8443",
    hospital_root_sha256="ab" * 32,
    pq_root_sha256="cd" * 32,
)
STATUS = ServerStatus(
    vault="ef" * 32,
    version="0.1.0",
    tls="OpenSSL 3.5",
    keystore="file",
    storage="fs",
    registry="sqlite",
    statement_version=3,
    statement_expires=4_000_000_000,
    crl_next_update=4_000_000_000,
    log_size=120,
    doctors_active=2,
    records=40,
)


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: str
    err: str


Admin = Callable[..., Done]


@pytest.fixture
def vaultq_admin(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Admin:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE + "\n", encoding="utf-8")

    def call(*arguments: str) -> Done:
        before = ("--home", str(home), "--passphrase-file", str(file))
        status = run(app, [*before, *arguments])
        return Done(status, *capsys.readouterr())

    return call


def words(row: DoctorRow) -> str:
    return " ".join(row.words)


def test_a_new_doctor_gets_id_password_and_the_command_to_type(vaultq_admin: Admin, listener: AdminListener) -> None:
    listener.answers["POST /v1/doctors"] = (201, PROVISION)

    done = vaultq_admin("doctors", "add", "Dr. Ada Lovelace")

    command = next(line for line in done.out.splitlines() if line.startswith("vaultq enroll"))
    assert done.status == 0
    assert done.out.count(PASSWORD) == 1
    assert PASSWORD not in command
    assert set(shlex.split(command)) >= {
        ADA, PROVISION.enrolment_address, PROVISION.records_address, "ab" * 32, "cd" * 32
    }  # fmt: skip


def test_a_script_gets_the_same_as_one_json_object(vaultq_admin: Admin, listener: AdminListener) -> None:
    listener.answers["POST /v1/doctors"] = (201, PROVISION)

    found = json.loads(vaultq_admin("doctors", "add", "Dr. Ada Lovelace", "--json").out)

    assert (found["doctor"], found["password"]) == (ADA, PASSWORD)
    assert found["command"].startswith("vaultq enroll https://vault.example.org:8444 ")


@pytest.mark.parametrize("name", ["", "x" * 65, "ä" * 33, "two\nlines", "\x1b[2J"])
def test_a_name_that_no_certificate_can_hold_is_not_sent(
    vaultq_admin: Admin, listener: AdminListener, name: str
) -> None:
    assert vaultq_admin("doctors", "add", name).status == 64
    assert listener.requests() == []


def test_the_words_stand_numbered_one_a_line(vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers[PENDING] = (200, Doctors(doctors=(ada,)))

    lines = [line.split() for line in vaultq_admin("doctors", "pending").out.splitlines()]

    assert [line for line in lines if line[:1] in (["1"], ["7"])] == [["1", "abacus"], ["7", "able"]]


def test_issuing_sends_the_words_that_the_script_repeats(
    vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow
) -> None:
    listener.answers[PENDING] = (200, Doctors(doctors=(ada,)))
    listener.answers[f"POST /v1/doctors/{ADA}/issue"] = (200, CHANGE)

    done = vaultq_admin("doctors", "issue", ADA, "--words", words(ada))

    assert (done.status, "Entry 7" in done.out) == (0, True)
    assert msgspec.json.decode(listener.asked[-1][1], type=DoctorIssue).words == ada.words


@pytest.mark.parametrize(
    ("given", "status"),
    [("abacus abdomen abide abiding ability ablaze zoom", 76), ("abacus abdomen", 64), ("", 64)],
)
def test_words_that_differ_issue_nothing(
    vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow, given: str, status: int
) -> None:
    listener.answers[PENDING] = (200, Doctors(doctors=(ada,)))

    assert vaultq_admin("doctors", "issue", ADA, "--words", given).status == status
    assert listener.requests() == [PENDING]


@pytest.mark.parametrize("command", [("issue", ADA), ("reject", ADA), ("revoke", ADA, "--reason", "phone stolen")])
def test_nothing_is_changed_without_a_person_to_ask(
    vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow, command: Sequence[str]
) -> None:
    listener.answers |= {each: (200, Doctors(doctors=(ada,))) for each in (PENDING, DOCTORS)}

    done = vaultq_admin("doctors", *command)

    assert (done.status, "no terminal to ask" in done.err) == (64, True)
    assert not [line for line in listener.requests() if line.startswith("POST")]


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01", "1066-10-14"])
def test_a_time_that_cannot_be_meant_is_not_sent(vaultq_admin: Admin, listener: AdminListener, since: str) -> None:
    done = vaultq_admin("doctors", "revoke", ADA, "--reason", "lost", "--compromised-since", since, "--yes")

    assert (done.status, listener.requests()) == (64, [])


def test_a_day_means_its_start_in_utc(vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers[DOCTORS] = (200, Doctors(doctors=(ada,)))
    listener.answers[f"POST /v1/doctors/{ADA}/revoke"] = (200, CHANGE)

    done = vaultq_admin("doctors", "revoke", ADA, "--reason", "lost", "--compromised-since", "2026-03-01", "--yes")

    assert done.status == 0
    assert json.loads(listener.asked[-1][1]) == {"reason": "lost", "compromised_since": 1_772_323_200}


def test_a_name_cannot_move_the_terminals_cursor(vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow) -> None:
    evil = msgspec.structs.replace(ada, name="[red]\u200fevil")
    listener.answers[DOCTORS] = (200, Doctors(doctors=(evil,)))

    assert r"[red]\u200fevil" in vaultq_admin("doctors", "list").out


def test_every_doctor_is_listed_for_scripts(vaultq_admin: Admin, listener: AdminListener, ada: DoctorRow) -> None:
    listener.answers[DOCTORS] = (200, Doctors(doctors=(ada,)))

    assert [row["doctor"] for row in json.loads(vaultq_admin("doctors", "list", "--json").out)] == [ADA]


def test_the_log_shows_its_newest_entries(vaultq_admin: Admin, listener: AdminListener) -> None:
    raw = b'{"kind":"a-later-kind","vault":"x","time":1760000000,"doctor":"dr-0000000001","note":null}'
    rows = tuple(LogRow(index=index, entry=msgspec.Raw(raw)) for index in (118, 119))
    listener.answers["GET /v1/status"] = (200, STATUS)
    listener.answers["GET /v1/log/entries?after=118&limit=500"] = (200, LogPage(entries=rows))

    done = vaultq_admin("log", "--count", "2")

    assert [line.split() for line in done.out.splitlines()[-2:]] == [
        [str(index), "2025-10-09", "08:53", "UTC", "a-later-kind", f"doctor={ADA}"] for index in (118, 119)
    ]


def test_an_entry_stays_readable_for_scripts(vaultq_admin: Admin, listener: AdminListener) -> None:
    row = LogRow(index=0, entry=msgspec.Raw(b'{"kind":"vault-created","time":1760000000}'))
    listener.answers["GET /v1/log/entries?after=0&limit=500"] = (200, LogPage(entries=(row,)))

    found = json.loads(vaultq_admin("log", "--after", "0", "--json").out)

    assert found == [{"index": 0, "entry": {"kind": "vault-created", "time": 1_760_000_000}}]


def test_the_status_shows_versions_and_ages(vaultq_admin: Admin, listener: AdminListener) -> None:
    listener.answers["GET /v1/status"] = (200, STATUS)

    assert "version 3, ends in" in vaultq_admin("status").out
    assert json.loads(vaultq_admin("status", "--json").out)["log_size"] == 120


def test_a_missing_directory_is_two_lines_and_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(app, ["--home", str(tmp_path / "nowhere"), "status"])

    assert status == 78
    assert len(capsys.readouterr().err.splitlines()) == 2
