"""How the administrator's results look to people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from vaultq_client.admin.invitation import enrol_command
from vaultq_client.ui import age, moment, say, show_facts, show_table
from vaultq_core.wire.api import Change, DoctorProvision, DoctorRow, LogRow, ServerStatus


def show_provision(provision: DoctorProvision, now: float) -> None:
    """Show a new doctor's id, password and command."""
    say(f"{provision.name} is provisioned. The password is shown this once:", style="bold")
    show_facts(
        [
            ("id", provision.doctor),
            ("one-time password", provision.password),
            ("valid until", f"{moment(provision.expires)} (for {age(provision.expires - now)})"),
            ("enrolment address", provision.enrolment_address),
            ("records address", provision.records_address),
            ("hospital root", provision.hospital_root_sha256),
            ("PQ root", provision.pq_root_sha256),
        ]
    )
    say("")
    say("The doctor types this, and the password when asked:")
    say(enrol_command(provision), style="bold")
    say("")
    say("Give the password by another way than the command. Then: vaultq-admin doctors pending")


class Tell(Protocol):
    """`say` or `say_aside`."""

    def __call__(self, text: str, *, style: str = "") -> None:
        """Print one line."""


def show_waiting(row: DoctorRow, now: float, *, tell: Tell = say) -> None:
    """Show who waits, and the seven words, one a line, to compare by phone."""
    tell(f"{row.name}  {row.doctor}  provisioned {age(now - row.created)} ago", style="bold")
    for number, word in enumerate(row.words, start=1):
        tell("")
        tell(f"    {number}   {word}", style="bold")
    tell("")


def show_pending(rows: Sequence[DoctorRow], now: float) -> None:
    """Show everybody who waits."""
    for row in rows:
        show_waiting(row, now)
    say("Compare by phone, then: vaultq-admin doctors issue ID" if rows else "Nobody waits for certificates.")


def show_doctors(rows: Sequence[DoctorRow], now: float) -> None:
    """Show doctors as a table."""
    cells = [
        (
            row.doctor,
            row.name,
            row.status,
            f"{age(now - row.created)} ago",
            "" if row.not_after is None else moment(row.not_after),
        )
        for row in rows
    ]
    show_table(("id", "name", "status", "created", "certificates end"), cells, empty="There are no doctors yet.")


def change_shown(what: str) -> Callable[[Change], None]:
    """Return what shows that a change was made, and where it stands in the log."""
    return lambda change: say(f"{what} Entry {change.index} of the log, {moment(change.time)}.")


def log_cells(row: LogRow) -> tuple[str, str, str, str]:
    """Return index, time, kind and the other members of an entry; kinds of later versions too."""
    entry: dict[str, Any] = json.loads(bytes(row.entry))
    time, kind = int(entry.pop("time", 0)), str(entry.pop("kind", "?"))
    entry.pop("vault", None)
    details = "  ".join(f"{name}={value}" for name, value in entry.items() if value is not None)
    return str(row.index), moment(time), kind, details


def show_log(rows: Sequence[LogRow]) -> None:
    """Show entries of the log as a table."""
    show_table(("index", "time", "kind", "what"), [log_cells(row) for row in rows], empty="No entries there.")


def show_status(status: ServerStatus, now: float) -> None:
    """Show the vault's state, with the ages that matter."""
    show_facts(
        [
            ("vault", status.vault),
            ("version", status.version),
            ("TLS", status.tls),
            ("keystore", status.keystore),
            ("storage", status.storage),
            ("registry", status.registry),
            ("statement", f"version {status.statement_version}, ends in {age(status.statement_expires - now)}"),
            ("next CRL due", f"in {age(status.crl_next_update - now)}"),
            ("log", f"{status.log_size} entries"),
            ("active doctors", str(status.doctors_active)),
            ("records", str(status.records)),
        ]
    )
