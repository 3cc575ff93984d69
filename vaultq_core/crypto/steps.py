"""Numbered steps of a verification: whatever refuses inside one is told with its number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vaultq_core.errors import CannotVerify, LimitExceeded, Malformed, NotVerified


@contextmanager
def step(number: int, what: str = "") -> Iterator[None]:
    """Raise what is Malformed or NotVerified inside as NotVerified at step `number`.

    CannotVerify stays CannotVerify, with the number; LimitExceeded passes: nothing was looked at yet.

    `what` names the part that an inner verifier, with steps of its own, was working on.
    """
    prefix = f"{what}: " if what else ""
    try:
        yield
    except LimitExceeded:
        raise
    except CannotVerify as error:
        raise CannotVerify(f"{prefix}{error}", step=number) from None
    except (NotVerified, Malformed) as error:
        raise NotVerified(f"{prefix}{error}", step=number) from None
