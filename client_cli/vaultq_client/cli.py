"""`vaultq`: the doctor's command line. What stands before the command, and the commands by subject."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaultq_client import cli_enrolment, cli_patients, cli_records, cli_verify
from vaultq_client.options import DoctorOptions
from vaultq_client.ui import new_app, run

DEFAULT_HOME = Path("~/.vaultq")

app = new_app("vaultq", "Put medical records into a VaultQ vault, get them back proven, verify them anywhere.")
for part in (cli_enrolment, cli_records, cli_patients, cli_verify):
    app.add_typer(part.commands)


@app.callback(epilog="Example: vaultq --home ~/work/vault put scan.pdf --patient 0b9c…")
def options(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option(envvar="VAULTQ_HOME", help="The directory of your identity and your unfinished uploads.")
    ] = DEFAULT_HOME,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Read the passphrase of your keys from this file (mode 0600).")
    ] = None,
) -> None:
    """Put medical records into a VaultQ vault, get them back proven, verify them anywhere."""
    context.obj = DoctorOptions(home.expanduser(), passphrase_file)


def main() -> None:
    """Run `vaultq`; exit statuses stand in docs/errors.md."""
    sys.exit(run(app))
