"""Progress bars on standard error, for people who look there; nothing for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from vaultq_client.ui import err_console, plain


class Bars:
    """One bar a task; `update` makes it when it is told of the first time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def update(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of `what` are done."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(plain(what), total=total)
        self._progress.update(self._tasks[what], completed=done)


@contextmanager
def bars(*, quiet: bool) -> Iterator[Bars]:
    """Yield bars that disappear at the end; none are drawn when `quiet` or where no person looks."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err_console(),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    with progress:
        yield Bars(progress)
