"""How a long command shows people how far it is: a bar on a terminal, nothing where nobody looks or a script reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaultq_core.server.services.rewrapping import Progress as Report


@contextmanager
def progress_bar(*, as_json: bool) -> Iterator[Report]:
    """Yield what a service tells of its progress; the bar is on standard error."""
    if as_json or not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description:14}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield report


def say_waiting() -> None:
    """Tell that another command is in the way."""
    typer.echo("Another command works on this vault's keys; waiting for it to end …", err=True)
