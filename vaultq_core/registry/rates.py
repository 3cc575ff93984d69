"""Counters over a window of time that all workers share, for rate limits."""

from __future__ import annotations

from sqlalchemy import Connection, case, insert, update

from vaultq_core.registry.tables.vault import rate_counters as counters


class Rates:
    """Hits by name in the present window; windows begin at multiples of their length."""

    def hit(self, tx: Connection, name: str, *, now: int, seconds: int) -> int:
        """Count one hit and return how many the window that holds `now` has, this one included."""
        start = now - now % seconds
        hits = case((counters.c.window_start == start, counters.c.hits + 1), else_=1)
        counted = (
            update(counters)
            .where(counters.c.name == name)
            .values(window_start=start, hits=hits)
            .returning(counters.c.hits)
        )
        found = tx.execute(counted).scalar_one_or_none()
        if found is None:
            tx.execute(insert(counters).values(name=name, window_start=start, hits=1))
        return 1 if found is None else int(found)
