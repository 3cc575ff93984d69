"""The two pools of threads where blocking work is done: one hand-off a request, and a bound on both.

A full pool answers 503 at once, rather than to let requests pile up in memory.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from vaultq_core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultq_core.wire.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")

WAITING_PER_THREAD = 4  # short calls may wait for this many others; streams never do


class Pool:
    """Threads of one kind. Belongs to one event loop."""

    def __init__(self, name: str, threads: int, waiting: int = 0) -> None:
        self._name = name
        self._most = threads + waiting
        self._busy = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"vaultq-{name}")

    @property
    def busy(self) -> int:
        """Return how many calls run or wait."""
        return self._busy

    async def run(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Return what `work` returns in a thread. Raises Unavailable when the pool is full.

        A cancelled caller leaves the thread to finish; its place stays taken until then.
        """
        return await self.submit(work, *args, **named)

    def submit(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> asyncio.Future[T]:
        """Start `work` and return its future. Raises Unavailable when the pool is full."""
        if self._busy >= self._most:
            raise Unavailable(f"all {self._most} places of the {self._name} pool are taken")
        loop = asyncio.get_running_loop()
        running = self._threads.submit(work, *args, **named)
        self._busy += 1
        running.add_done_callback(lambda _: _on_loop(loop, self._release))
        return asyncio.wrap_future(running)

    def close(self) -> None:
        """Let running calls finish and drop those that wait."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _release(self) -> None:
        self._busy -= 1


class Pools:
    """`short` for calls that end soon, `stream` for uploads and downloads."""

    def __init__(self, limits: Limits) -> None:
        self.short = Pool("short", limits.short_threads, limits.short_threads * WAITING_PER_THREAD)
        self.stream = Pool("stream", limits.stream_threads)

    def close(self) -> None:
        """Close both; blocks until running calls have finished."""
        self.short.close()
        self.stream.close()


def _on_loop(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
