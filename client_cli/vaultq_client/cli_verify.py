"""`vaultq verify`: for courts, auditors and other hospitals; needs neither an identity nor a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaultq_client.bundles import read_bundle
from vaultq_client.checks import Verdict, load_roots, verify_bundle
from vaultq_client.cli_records import DOUBTFUL
from vaultq_client.options import doctor_options
from vaultq_client.source_file import file_chunks
from vaultq_client.ui import JsonOption, emit, moment, new_app, say, show_facts

commands = new_app("", "")


@commands.command(epilog="Example: vaultq verify scan.pdf --bundle scan.vaultq --roots /media/stick/hospital")
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The record's content.")],
    bundle: Annotated[Path, typer.Option(help="Its evidence, from `vaultq get --bundle`.")],
    roots: Annotated[
        Path | None,
        typer.Option(help="The directory of hospital_root_ca.pem and hospital_pq_root.pem; --home, if not given."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Verify who wrote a file, that it is unchanged, and when it was logged, without any server.

    Exit status 0: verified. 3: doubtful, the author's key may have been in other hands. 76: not verified.
    """
    anchors = load_roots(roots or doctor_options(context).home)
    told = _tell_nobody if as_json else _tell
    verdict = verify_bundle(read_bundle(bundle), file_chunks(file), anchors, told)
    emit(verdict, _show, as_json=as_json)
    if verdict.result == "doubtful":
        raise typer.Exit(DOUBTFUL)


def _tell(number: int, proven: str) -> None:
    say(f"{number}  ok  {proven}")


def _tell_nobody(_number: int, _proven: str) -> None:
    pass


def _show(verdict: Verdict) -> None:
    doubtful = verdict.result == "doubtful"
    say("DOUBTFUL" if doubtful else "VERIFIED", style="bold yellow" if doubtful else "bold green")
    if doubtful:
        say("The author's key may have been in other hands when this was logged.")
    show_facts(
        (
            ("author", f"{verdict.author_name} ({verdict.author})"),
            ("logged", f"{moment(verdict.time)}, entry {verdict.index}"),
            ("title", verdict.title),
            ("record", verdict.record),
            ("patient", verdict.patient),
            ("revocations known until", moment(verdict.revocations_known_until)),
            ("hospital root", verdict.hospital_root_sha256),
            ("post-quantum root", verdict.pq_root_sha256),
        )
    )
