"""`vaultq patient …`, `grant`, `grants`: whose records, and who may see them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from vaultq_client.options import open_client
from vaultq_client.results import AddedPatient, GivenGrant, ListedGrant, ListedPatient
from vaultq_client.ui import JsonOption, emit, moment, new_app, say, show_table
from vaultq_core.wire.sealed_request import Demographics, RecordNumber
from vaultq_core.wire.statements import Role

commands = new_app("", "")
patient_commands = new_app("patient", "Create, find and list patients.")
commands.add_typer(patient_commands)

Authority = Annotated[str, typer.Option(help="Who assigned the record number (HL7 assigning authority).")]
_PATIENT = "The patient's id; `vaultq patient find` tells it."
_HOSPITAL = "hospital"
_DATE = "%Y-%m-%d"


@patient_commands.command("add", epilog="Example: vaultq patient add --number 4711 --birth-date 1970-01-31")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Option(prompt="The patient's name", help="Asked for, if not given.")],
    birth_date: Annotated[dt.datetime | None, typer.Option(formats=[_DATE], help="YYYY-MM-DD.")] = None,
    number: Annotated[str | None, typer.Option(help="The hospital's record number.")] = None,
    authority: Authority = _HOSPITAL,
    *,
    as_json: JsonOption = False,
) -> None:
    """Create a patient. You hold the first grant and may give others on."""
    record_number = RecordNumber(authority=authority, number=number) if number else None
    born = birth_date.strftime(_DATE) if birth_date else None
    with open_client(context) as client:
        added = client.add_patient(Demographics(name=name, birth_date=born, record_number=record_number))
    emit(added, _show_added, as_json=as_json)


@patient_commands.command("find", epilog="Example: vaultq patient find 4711")
def find(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The hospital's record number.")],
    authority: Authority = _HOSPITAL,
    *,
    as_json: JsonOption = False,
) -> None:
    """Find a patient by record number; the number travels sealed. Without a grant there is none."""
    with open_client(context) as client:
        found = list(client.find_patient(RecordNumber(authority=authority, number=number)))
    emit(found, _show_patients, as_json=as_json)


@patient_commands.command("ls", epilog="Example: vaultq patient ls --json")
def list_(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the patients on whom you hold a grant."""
    with open_client(context) as client:
        found = list(client.patients())
    emit(found, _show_patients, as_json=as_json)


@commands.command(epilog="Example: vaultq grant 0b9c… dr-0123456789 --role read --until 2030-12-31")
def grant(
    context: typer.Context,
    patient: Annotated[str, typer.Argument(help=_PATIENT)],
    doctor: Annotated[str, typer.Argument(help="The colleague's id, dr-….")],
    role: Annotated[Role, typer.Option(help="read; write (read and put); own (write and grant).")],
    until: Annotated[dt.datetime | None, typer.Option(formats=[_DATE], help="The last day it holds (UTC).")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Give a colleague a role on a patient: no more than you hold, and for no longer."""
    with open_client(context) as client:
        given = client.grant(patient, doctor, role, _end_of_day(until))
    emit(given, _show_given, as_json=as_json)


@commands.command(epilog="Example: vaultq grants 0b9c7d5e-…")
def grants(
    context: typer.Context,
    patient: Annotated[str, typer.Argument(help=_PATIENT)],
    *,
    as_json: JsonOption = False,
) -> None:
    """List who may do what with a patient's records. Each grant is proven up to the patient's founder."""
    with open_client(context) as client:
        found = client.grants(patient)
    emit(found, _show_grants, as_json=as_json)


def _end_of_day(day: dt.datetime | None) -> int | None:
    if day is None:
        return None
    return int(day.replace(hour=23, minute=59, second=59, tzinfo=dt.UTC).timestamp())


def _show_added(added: AddedPatient) -> None:
    say(added.patient)


def _show_patients(patients: list[ListedPatient]) -> None:
    columns = ("patient", "name", "born", "number", "your role", "records")
    show_table(columns, (_patient_row(each) for each in patients), empty="no patients")


def _patient_row(each: ListedPatient) -> tuple[str, ...]:
    known, number = each.demographics, each.demographics.record_number
    said = f"{number.number} ({number.authority})" if number else ""
    return (each.patient, known.name, known.birth_date or "", said, each.role, str(each.records))


def _show_given(given: GivenGrant) -> None:
    end = f" until {moment(given.until)}" if given.until else ""
    say(f"{given.doctor_name} ({given.doctor}) may {given.role}{end}; entry {given.index} of the log.")


def _show_grants(found: tuple[ListedGrant, ...]) -> None:
    columns = ("doctor", "role", "until", "given by", "on", "grant")
    rows = (
        (
            each.doctor,
            each.role,
            moment(each.until) if each.until else "",
            f"{each.author_name} ({each.author})",
            moment(each.created),
            each.grant,
        )
        for each in found
    )
    show_table(columns, rows, empty="no grants")
