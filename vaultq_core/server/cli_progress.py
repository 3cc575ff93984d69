"""How a long command shows people how far it is: a bar on a terminal, nothing where nobody looks or a script reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaultq_core.server.services.rewrapping import Progress as Report

OTHER_COMMAND: Final = "another command works on this vault's keys"


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


def waiting(text: str, *, as_json: bool) -> Callable[[], None]:
    """Return what tells people why nothing happens for a while."""
    return lambda: None if as_json else typer.echo(f"Waiting: {text} …", err=True)
