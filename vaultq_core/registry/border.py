"""The one place where SQLAlchemy's exceptions become VaultQ's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from vaultq_core.errors import Conflict, RegistryUnavailable


@contextmanager
def registry_border() -> Iterator[None]:
    """Let only VaultQErrors out: Conflict for a broken constraint, RegistryUnavailable for all else.

    The driver's text can quote a row, so that of a broken constraint stays inside.
    """
    try:
        yield
    except IntegrityError:
        raise Conflict("the registry holds another row of that id, or lacks the one that this names") from None
    except SQLAlchemyError as error:
        raise RegistryUnavailable(f"the registry does not answer: {_reason(error)}") from None


def _reason(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).splitlines()
    return lines[0] if lines else type(cause).__name__
