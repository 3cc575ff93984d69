"""What a check says: one line a thing, each ok, a warning or failed, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Engine

from vaultq_core.errors import VaultQError
from vaultq_core.registry.registry import Registry
from vaultq_core.server.config import Config
from vaultq_core.server.keys import VaultKeys
from vaultq_core.spi.keystore import Keystore
from vaultq_core.spi.storage import Storage


class Verdict(StrEnum):
    """How a thing stands. Only `failed` keeps a vault from serving as it should."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


@dataclass(slots=True)
class Opened:
    """What earlier checks could open, for later ones; `stack` closes it. `now` is the time of the whole run."""

    config: Config
    now: dt.datetime
    stack: ExitStack
    engine: Engine | None = None
    keystore: Keystore | None = None
    storage: Storage | None = None
    registry: Registry | None = field(default=None, repr=False)
    keys: VaultKeys | None = None

    def seconds(self) -> int:
        """Return `now` as POSIX seconds."""
        return int(self.now.timestamp())


Check = Callable[[Opened], Iterable[Finding]]


def ok(subject: str, detail: str) -> Finding:
    """Say that a thing is as it should be."""
    return Finding(subject, Verdict.OK, detail)


def warning(subject: str, detail: str, remedy: str) -> Finding:
    """Say that a thing works, and what would make it better or will break it."""
    return Finding(subject, Verdict.WARNING, detail, remedy)


def failed(subject: str, detail: str, remedy: str) -> Finding:
    """Say that a thing does not work."""
    return Finding(subject, Verdict.FAILED, detail, remedy)


def failed_by(subject: str, error: VaultQError) -> Finding:
    """Say what an error says."""
    return failed(subject, f"{error} [{error.code}]", error.remedy)


def not_checked(subject: str, missing: str) -> Finding:
    """Say that an earlier failure kept a thing from being looked at."""
    return warning(subject, f"not checked, since {missing} could not be opened", "Mend that first, then check again.")


def guarded(subject: str, check: Check, opened: Opened) -> Iterator[Finding]:
    """Yield what a check finds; an error is its last finding, and never ends the run."""
    try:
        yield from check(opened)
    except VaultQError as error:
        yield failed_by(subject, error)
    except Exception as error:  # noqa: BLE001 - its text may quote a secret, so only its kind is told
        yield failed(subject, f"unexpected: {type(error).__name__}", "Look at the lines above; report it if none fits.")
