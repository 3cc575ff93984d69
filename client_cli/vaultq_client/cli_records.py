"""`vaultq put`, `ls`, `get`, `resume`: a doctor's daily commands."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vaultq_client.client import Client
from vaultq_client.manifests import DEFAULT_KIND, RecordDetails
from vaultq_client.options import open_client
from vaultq_client.progress import bars
from vaultq_client.results import FetchedRecord, ListedRecord, Resumed, StoredRecord
from vaultq_client.ui import JsonOption, emit, moment, new_app, say, say_aside, show_table
from vaultq_core.errors import Unavailable, Usage

DOUBTFUL = 3  # exit status: proven, but the author's key may have been in other hands (docs/errors.md)

commands = new_app("", "")

_PATIENT = "The patient's id; `vaultq patient find` tells it."
_PUT = (
    "Examples: vaultq put scan.pdf --patient 0b9c… --title 'CT abdomen' --kind report; "
    "vaultq put scan2.pdf --patient 0b9c… --replaces 51d0… --reason 'wrong side named'"
)


@commands.command(epilog=_PUT)
def put(  # noqa: PLR0913 - what a doctor says about a file
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file that becomes the record.")],
    patient: Annotated[str, typer.Option(help=_PATIENT)],
    title: Annotated[str | None, typer.Option(help="One line for people; the file's name, if not given.")] = None,
    kind: Annotated[str, typer.Option(help="What it is, like report or x-ray.")] = DEFAULT_KIND,
    media_type: Annotated[str | None, typer.Option(help="Its media type; told by its suffix, if not given.")] = None,
    replaces: Annotated[str | None, typer.Option(help="The record that this one corrects.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is corrected.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Sign a file, seal it to the vault, and store it. Success means that its receipt is proven."""
    if (replaces is None) != (reason is None):
        raise Usage("--replaces and --reason belong together")
    with open_client(context) as client, bars(quiet=as_json) as shown:
        correction = client.replacing(patient, replaces, reason) if replaces and reason else None
        details = RecordDetails(patient, title, kind, media_type, correction)
        try:
            stored = client.put(
                file, details, hashing=partial(shown.update, "hashing"), sending=partial(shown.update, "sending")
            )
        except (KeyboardInterrupt, Unavailable):
            _say_resumable(client)
            raise
    emit(stored, _show_stored, as_json=as_json)


@commands.command("ls", epilog="Example: vaultq ls 0b9c7d5e-…")
def list_(
    context: typer.Context,
    patient: Annotated[str, typer.Argument(help=_PATIENT)],
    *,
    as_json: JsonOption = False,
) -> None:
    """List a patient's records. Each signature is verified, and a record that is left out is an error."""
    with open_client(context) as client:
        found = client.records(patient)
    emit(found, _show_records, as_json=as_json)


@commands.command(epilog="Example: vaultq get 51d0… -o scan.pdf --bundle scan.vaultq")
def get(
    context: typer.Context,
    record: Annotated[str, typer.Argument(help="The record's id; `vaultq ls` tells it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the content goes, once all of it is proven.")],
    bundle: Annotated[Path | None, typer.Option(help="Where its evidence goes, for `vaultq verify`.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a record. On any failure there is no file; exit status 3 says that its author's key is in doubt."""
    if str(output) == "-":
        raise Usage("content is not streamed before it is proven", remedy="Name a file with -o.")
    with open_client(context) as client, bars(quiet=as_json) as shown:
        receiving = partial(shown.update, "receiving")
        found = client.get(record, output, bundle=bundle, replace=force, receiving=receiving)
    emit(found, _show_fetched, as_json=as_json)
    if found.doubtful:
        raise typer.Exit(DOUBTFUL)


@commands.command(epilog="Examples: vaultq resume; vaultq resume --discard 51d0…")
def resume(
    context: typer.Context,
    discard: Annotated[str | None, typer.Option(help="Give up the upload of this record.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Send again every upload that has no receipt. The vault stores each once, however often it is sent."""
    with open_client(context) as client, bars(quiet=as_json) as shown:
        if discard is not None:
            done = [Resumed(client.discard(discard), "", None, "given up", None)]
        else:
            done = list(client.resume(sending=shown.update))
    emit(done, _show_resumed, as_json=as_json)
    if discard is None and any(each.stored is None for each in done):
        raise typer.Exit(Unavailable.exit_status)


def _say_resumable(client: Client) -> None:
    if client.outbox.records():
        say_aside("The upload is kept: `vaultq resume` sends it again, and the vault stores it once.")


def _show_stored(stored: StoredRecord) -> None:
    say(f"Stored as {stored.record}, number {stored.counter} of the patient's records.")
    say(f"Its receipt is proven: entry {stored.index} of the log, {moment(stored.time)}.")


def _show_fetched(found: FetchedRecord) -> None:
    say(f"{found.path}: {found.length} bytes, whole and proven.")
    say(f"{found.title}, by {found.author_name} ({found.author}), logged {moment(found.time)}, entry {found.index}.")
    if found.bundle:
        say(f"{found.bundle}: its evidence; keep the two together.")
    if found.doubtful:
        say_aside("DOUBTFUL: the author's key may have been in other hands when this was logged.", style="bold red")


def _show_records(records: tuple[ListedRecord, ...]) -> None:
    columns = ("no.", "logged", "title", "kind", "bytes", "by", "record", "")
    show_table(columns, (_row(each) for each in records), empty="no records")


def _row(each: ListedRecord) -> tuple[str, ...]:
    notes = {
        "replaced": each.replaced_by is not None,
        "correction": each.replaces is not None,
        "DOUBTFUL": each.doubtful,
        "DAMAGED": each.damaged,
    }
    said = ", ".join(note for note, holds in notes.items() if holds)
    place = (str(each.counter), moment(each.time))
    return (*place, each.title, each.kind, str(each.length), each.author_name, each.record, said)


def _show_resumed(done: list[Resumed]) -> None:
    if not done:
        say("Nothing waits.")
    for each in done:
        if each.stored is not None:
            say(f"{each.path}: stored as {each.record}, entry {each.stored.index} of the log.")
        else:
            say(f"{each.path or each.record}: {each.problem}")
            if each.remedy:
                say_aside(f"  {each.remedy} (record {each.record})")
