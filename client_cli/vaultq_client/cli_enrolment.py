"""`vaultq enroll` and `vaultq whoami`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from vaultq_client.address import parse_address
from vaultq_client.client import Client
from vaultq_client.enrolment import Application, Enrolment, begin, require_room, resume
from vaultq_client.home import Home
from vaultq_client.options import DoctorOptions, doctor_options, open_client
from vaultq_client.results import WhoAmI
from vaultq_client.session import system_clock
from vaultq_client.ui import JsonOption, emit, moment, new_app, read_secret, say_aside, show_facts
from vaultq_client.vault_view import Pins
from vaultq_core.errors import Usage
from vaultq_core.wire.ids import DoctorId, Sha256, parse

commands = new_app("", "")

_ENROLL = (
    "Examples: vaultq enroll vault.example.org:8444 dr-0123456789 --records vault.example.org:8443 "
    "--hospital-root 3f…9a --pq-root 77…01; vaultq enroll (to go on with one that waits)"
)


@commands.command(epilog=_ENROLL)
def enroll(  # noqa: PLR0913 - what an administrator hands to a doctor
    context: typer.Context,
    address: Annotated[str | None, typer.Argument(help="HOST:PORT of the enrolment listener.")] = None,
    doctor: Annotated[str | None, typer.Argument(help="Your id, dr-…, from the administrator.")] = None,
    records: Annotated[str | None, typer.Option(help="HOST:PORT of the records listener.")] = None,
    hospital_root: Annotated[str | None, typer.Option(help="SHA-256 of the hospital root, 64 hex digits.")] = None,
    pq_root: Annotated[str | None, typer.Option(help="SHA-256 of the post-quantum root, 64 hex digits.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Read the one-time password from this file (mode 0600).")
    ] = None,
    *,
    restart: Annotated[bool, typer.Option("--restart", help="Give up an enrolment that is not finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make your keys, have them certified, and wait until the administrator has compared seven words with you.

    The administrator gives you this command whole. Password and passphrase are asked for.
    """
    options = doctor_options(context)
    home = Home(options.home)
    if restart:
        home.enrolment.unlink(missing_ok=True)
    given = (address, doctor, records, hospital_root, pq_root)
    with _begin(home, options, given, password_file) if any(given) else _resume(home, options) as enrolment:
        identity = _wait(enrolment)
    emit(identity, _show, as_json=as_json)


@commands.command(epilog="Example: vaultq whoami --json")
def whoami(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show who you are, to which vault, and until when. Nothing is sent."""
    with open_client(context) as client:
        found = client.whoami()
    emit(found, _show, as_json=as_json)


def _begin(home: Home, options: DoctorOptions, given: tuple[str | None, ...], password_file: Path | None) -> Enrolment:
    address, doctor, records, hospital, pq = given
    if address is None or doctor is None or records is None or hospital is None or pq is None:
        raise Usage(
            "an enrolment needs ADDRESS, DOCTOR, --records, --hospital-root and --pq-root",
            remedy="Copy the administrator's command as a whole.",
        )
    require_room(home)
    application = Application(
        doctor=parse(doctor, DoctorId, "doctor's id"),
        enrolment_address=parse_address(address),
        records_address=parse_address(records),
        pins=Pins(_fingerprint(hospital), _fingerprint(pq)),
        password=read_secret("One-time password", password_file),
    )
    return begin(home, application, options.new_passphrase(), system_clock)


def _resume(home: Home, options: DoctorOptions) -> Enrolment:
    if not home.enrolment.exists():
        raise Usage("no enrolment waits in this home", remedy="Copy the administrator's command as a whole.")
    return resume(home, options.passphrase(), system_clock)


def _wait(enrolment: Enrolment) -> WhoAmI:
    try:
        enrolment.state()  # hands over the request, if the vault does not have it yet
        say_aside(f"Read these seven words to the administrator by phone, {enrolment.name}:", style="bold")
        say_aside(f"  {'  '.join(enrolment.words)}", style="bold")
        say_aside("Waiting for the certificates. You may stop here and run `vaultq enroll` again at any time.")
        identity = enrolment.finish(enrolment.wait(time.sleep))
    except KeyboardInterrupt:
        say_aside("Nothing is lost: `vaultq enroll` goes on from here.")
        raise
    with Client(enrolment.home, identity) as client:
        return client.whoami()


def _fingerprint(text: str) -> str:
    return parse(re.sub(r"[\s:]", "", text).lower(), Sha256, "fingerprint (64 hex digits)")


def _show(found: WhoAmI) -> None:
    show_facts(
        (
            ("doctor", f"{found.name} ({found.doctor})"),
            ("vault", found.vault),
            ("records at", found.records_address),
            ("certified until", moment(found.certified_until)),
            ("hospital root", found.hospital_root_sha256),
            ("post-quantum root", found.pq_root_sha256),
            ("uploads waiting", str(found.uploads_waiting)),
        )
    )
