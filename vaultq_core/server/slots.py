"""A bound on what one client does at once, in one worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from vaultq_core.errors import TooManyRequests


class Slots:
    """At most `most` places for each holder. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextmanager
    def hold(self, holder: str) -> Iterator[None]:
        """Take a place for as long as the block runs. Raises TooManyRequests when all are taken."""
        if self._taken[holder] >= self._most:
            raise TooManyRequests(f"{self._most} uploads at once are the limit (uploads_per_doctor)", retry_after=1)
        self._taken[holder] += 1
        try:
            yield
        finally:
            self._taken[holder] -= 1
            if not self._taken[holder]:
                del self._taken[holder]
