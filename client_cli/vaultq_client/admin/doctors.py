"""`vaultq-admin doctors`: add, pending, issue, reject, revoke, list."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated

import msgspec
import typer

from vaultq_client.admin.invitation import enrol_command
from vaultq_client.admin.session import open_client
from vaultq_client.admin.views import change_shown, show_doctors, show_pending, show_provision, show_waiting
from vaultq_client.ui import JsonOption, confirm, emit, moment, new_app, say_aside
from vaultq_core.crypto.fingerprints import WORDS
from vaultq_core.errors import NotVerified, Usage
from vaultq_core.wire.api import DoctorRow

NAME_BYTES = 64  # of UTF-8; a common name in a certificate (RFC 5280, A.1, ub-common-name)

doctors = new_app("doctors", "Provision doctors, compare their words, issue and revoke their certificates.")

DoctorArgument = Annotated[str, typer.Argument(metavar="ID", help="The doctor's id, dr-…")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]


@doctors.command(epilog='Example: vaultq-admin doctors add "Dr. Ada Lovelace"')
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The doctor's name, as it stands in the certificates.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a doctor's id and one-time password, and the command for the doctor to type.

    Nothing shows the password again: give it by another way than the command.
    """
    if not 0 < len(name.encode()) <= NAME_BYTES or not name.isprintable():
        raise Usage(f"a name has 1 to {NAME_BYTES} bytes of UTF-8 in one line")
    with open_client(context) as admin:
        provision = admin.add_doctor(name)
    value = msgspec.structs.asdict(provision) | {"command": enrol_command(provision)}
    emit(value, lambda _: show_provision(provision, time.time()), as_json=as_json)


@doctors.command(epilog="Example: vaultq-admin doctors pending")
def pending(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show whose keys wait, with the seven words to compare by phone."""
    with open_client(context) as admin:
        rows = list(admin.pending())
    emit(rows, lambda every: show_pending(every, time.time()), as_json=as_json)


@doctors.command(epilog='Examples: vaultq-admin doctors issue ID; in scripts: doctors issue ID --words "w1 w2 … w7"')
def issue(
    context: typer.Context,
    doctor: DoctorArgument,
    words: Annotated[
        str | None, typer.Option(help="The seven words as the doctor read them out, instead of the question.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Issue both certificates, once the doctor's words are the ones shown here.

    Call the doctor on a number you know, and let the doctor read the words to you. The vault issues for
    exactly these words, or refuses.
    """
    with open_client(context) as admin:
        row = admin.waiting(doctor)
        compared = _ask_words(row) if words is None else _same_words(row, words)
        emit(admin.issue(row.doctor, compared), change_shown(f"{row.name} has certificates."), as_json=as_json)


@doctors.command(epilog="Example: vaultq-admin doctors reject dr-0123456789")
def reject(
    context: typer.Context, doctor: DoctorArgument, *, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Refuse keys whose words differ: somebody else may have used the one-time password."""
    with open_client(context) as admin:
        row = admin.waiting(doctor)
        _require(f"Reject the keys that wait for {row.name}, {row.doctor}?", yes=yes)
        emit(admin.reject(row.doctor), change_shown(f"The keys of {row.name} are rejected."), as_json=as_json)


@doctors.command(
    epilog='Example: vaultq-admin doctors revoke dr-0123456789 --reason "phone stolen" --compromised-since 2026-03-01'
)
def revoke(
    context: typer.Context,
    doctor: DoctorArgument,
    reason: Annotated[str, typer.Option(help="Why; it stands in the log for good. No patient's name.")],
    compromised_since: Annotated[
        str | None, typer.Option(help="Day, or day and time (UTC), from which somebody else may have had the keys.")
    ] = None,
    *,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """End both certificates of a doctor, and the open connections, at once and for good."""
    now = time.time()
    since = None if compromised_since is None else _past(compromised_since, now)
    with open_client(context) as admin:
        row = admin.doctor(doctor)
        if not yes:
            _announce(row, since)
        _require(f"Revoke {row.name}?", yes=yes)
        shown = change_shown(f"{row.name} is revoked.")
        emit(admin.revoke(row.doctor, reason, since), shown, as_json=as_json)


@doctors.command("list", epilog="Example: vaultq-admin doctors list --json")
def list_doctors(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show every doctor, with status and the end of the certificates."""
    with open_client(context) as admin:
        rows = list(admin.doctors())
    emit(rows, lambda every: show_doctors(every, time.time()), as_json=as_json)


def _ask_words(row: DoctorRow) -> tuple[str, ...]:
    show_waiting(row, time.time(), tell=say_aside)
    if not confirm(f"Do all {WORDS} words match what {row.name} reads out?"):
        raise NotVerified(
            "the words do not match; nothing was issued",
            remedy=f"Compare once more. If they differ: vaultq-admin doctors reject {row.doctor}",
        )
    return row.words


def _same_words(row: DoctorRow, given: str) -> tuple[str, ...]:
    words = tuple(given.lower().split())
    if len(words) != WORDS:
        raise Usage(f"--words takes {WORDS} words in quotes, not {len(words)}")
    if words != row.words:
        raise NotVerified(
            "these are not the words of the keys that wait; nothing was issued",
            remedy=f"Compare once more. If they differ: vaultq-admin doctors reject {row.doctor}",
        )
    return words


def _require(question: str, *, yes: bool) -> None:
    if not yes and not confirm(question):
        raise Usage("not confirmed; nothing was changed", remedy="Answer y, or give --yes.")


def _announce(row: DoctorRow, since: int | None) -> None:
    say_aside(f"{row.name}, {row.doctor}, is {row.status}. Revoking", style="bold")
    say_aside("  - ends both certificates and, within a second, every open connection;")
    say_aside("  - keeps what was stored: records logged before this verify as before;")
    if since is not None:
        say_aside(f"  - makes records logged from {moment(since)} on verify as doubtful;")
    say_aside("  - cannot be undone: the doctor has to enrol again.")


def _past(text: str, now: float) -> int:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"{text!r} is no day or time", remedy="Write 2026-03-01 or 2026-03-01T14:30+01:00.") from None
    seconds = (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp()
    if not 0 <= seconds <= now:
        raise Usage("--compromised-since lies in the past")
    return int(seconds)
