"""`vaultq-admin`: the commands, and what stands before them."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vaultq_client.admin.doctors import doctors
from vaultq_client.admin.session import AdminOptions, open_client
from vaultq_client.admin.views import show_log, show_status
from vaultq_client.ui import JsonOption, emit, new_app, run

DEFAULT_HOME = Path("~/.vaultq-admin")

app = new_app("vaultq-admin", "Administer a VaultQ vault: doctors, log, status. No command reads a record.")
app.add_typer(doctors)


@app.callback(epilog="Example: vaultq-admin --home /srv/vaultq/admin doctors pending")
def options(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option(envvar="VAULTQ_ADMIN_HOME", help="The directory that `vaultq-server init` made for you.")
    ] = DEFAULT_HOME,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Read the passphrase of your key from this file (mode 0600).")
    ] = None,
) -> None:
    """Administer a VaultQ vault: doctors, log, status. No command reads a record."""
    context.obj = AdminOptions(home.expanduser(), passphrase_file)


@app.command(epilog="Examples: vaultq-admin log --count 20; vaultq-admin log --after 0 --count 100 --json")
def log(
    context: typer.Context,
    after: Annotated[int | None, typer.Option(min=0, help="The first index to show; without it, the newest.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many entries at most.")] = 50,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what happened: entries of the transparency log, oldest first. They name ids only."""
    with open_client(context) as admin:
        start = max(0, admin.status().log_size - count) if after is None else after
        rows = list(itertools.islice(admin.log(start), count))
    emit(rows, show_log, as_json=as_json)


@app.command(epilog="Example: vaultq-admin status --json")
def status(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show versions, backends, counts, and when statement and revocation list end."""
    with open_client(context) as admin:
        found = admin.status()
    emit(found, lambda shown: show_status(shown, time.time()), as_json=as_json)


def main() -> None:
    """Run `vaultq-admin`; exit statuses stand in docs/errors.md."""
    sys.exit(run(app))
