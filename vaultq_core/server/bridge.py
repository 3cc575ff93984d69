"""Bodies between the event loop and a thread: bounded both ways, and each side learns that the other ended.

An upload is work in a thread over an iterator of bytes; a download is an iterator that a thread drives.
At most DEPTH chunks of about CHUNK_BYTES lie between the two.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from vaultq_core.errors import LimitExceeded, Unavailable, VaultQError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from vaultq_core.server.asgi import App, Receive, Scope, Send
    from vaultq_core.server.pools import Pool

T = TypeVar("T")

CHUNK_BYTES = 2**18  # a hand-off costs about 50 us: 0.2 ms of hashing pays for it
DEPTH = 4


async def upload(pool: Pool, scope: Scope, receive: Receive, *, limit: int, work: Callable[[Iterator[bytes]], T]) -> T:
    """Return what `work` makes of the request's body, in a thread of `pool`.

    `limit` is in bytes. Raises LimitExceeded (before anything is read, when the length is declared),
    Unavailable when the pool is full or the client went away, and what `work` raises. In the thread,
    the iterator raises the same errors, so that `work` undoes what it began.
    """
    _require_length_within(scope, limit)
    channel = _Channel(asyncio.get_running_loop())
    result = pool.submit(_consume, channel, work)
    result.add_done_callback(_look_at_error)
    feeding: asyncio.Future[Any] = asyncio.ensure_future(_feed(channel, receive, limit))
    try:
        await asyncio.wait({feeding, result}, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        return await asyncio.shield(result)  # it may also have ended before the body
    except BaseException as error:
        channel.end(error if isinstance(error, VaultQError) else Unavailable("the request was cut off"))
        raise
    finally:
        feeding.cancel()


class Download:
    """Chunks that a thread makes, for one answer. Made by `start_download`.

    Give `answer(...)` to the framework, or iterate and then `close()`: closing ends the thread's work.
    """

    def __init__(self, channel: _Channel, first: bytes | None) -> None:
        self._channel = channel
        self._next = first

    def __del__(self) -> None:
        """Free the thread when the answer was never begun."""
        self.close()

    def __aiter__(self) -> Download:
        return self

    async def __anext__(self) -> bytes:
        if self._next is None:
            raise StopAsyncIteration
        chunk, self._next = self._next, None
        self._next = await self._channel.get()
        return chunk

    def close(self) -> None:
        """Take no more; the thread's iterator is closed."""
        self._channel.abandon()

    def answer(self, headers: Mapping[str, str]) -> App:
        """Return a 200 answer of these chunks, which a Litestar handler may return."""
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
            try:
                await send({"type": "http.response.start", "status": 200, "headers": fields})
                async for chunk in self:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                self.close()

        return answer


async def start_download(pool: Pool, source: Callable[[], Iterator[bytes]]) -> Download:
    """Run `source()` in a thread of `pool` and return its chunks, once the first one is there.

    So whatever goes wrong before the first chunk is raised here, where it can still become a problem
    document; what goes wrong later breaks the answer off. Raises Unavailable when the pool is full.
    """
    channel = _Channel(asyncio.get_running_loop())
    done = pool.submit(_produce, channel, source)
    done.add_done_callback(_look_at_error)
    try:
        return Download(channel, await channel.get())
    except BaseException:
        channel.abandon()
        raise


async def _feed(channel: _Channel, receive: Receive, limit: int) -> None:
    async with aclosing(_coalesced(receive, limit)) as body:
        async for chunk in body:
            if not await channel.put(chunk):
                return
    channel.end(None)


def _consume(channel: _Channel, work: Callable[[Iterator[bytes]], T]) -> T:
    try:
        return work(channel.chunks())
    finally:
        channel.abandon()


def _produce(channel: _Channel, source: Callable[[], Iterator[bytes]]) -> None:
    chunks: Iterator[bytes] = iter(())
    try:
        chunks = source()
        for chunk in _joined(chunks):
            if not channel.put_blocking(chunk):
                break
        channel.end(None)
    except BaseException as error:
        channel.end(error)
        raise
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


class _Channel:
    """Chunks on their way between one event loop and one thread; None is the end of them.

    Either end may stop: `end` is the producer's last word (an error is raised at the consumer),
    `abandon` the consumer's (the producer is told by False).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chunks: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._changed_on_loop = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._abandoned = False

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._wake()

    def abandon(self) -> None:
        with self._changed:
            self._abandoned = True
            self._chunks.clear()
            self._wake()

    # --- on the loop ---

    async def put(self, chunk: bytes) -> bool:
        while not self._try_put(chunk):
            if self._abandoned:
                return False
            await self._changed_on_loop.wait()
        return True

    async def get(self) -> bytes | None:
        while True:
            self._changed_on_loop.clear()
            with self._changed:
                if self._chunks:
                    return self._take()
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
            await self._changed_on_loop.wait()

    def _try_put(self, chunk: bytes) -> bool:
        self._changed_on_loop.clear()
        with self._changed:
            if self._abandoned or len(self._chunks) >= DEPTH:
                return False
            self._chunks.append(chunk)
            self._changed.notify_all()
            return True

    # --- in the thread ---

    def chunks(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._chunks or self._ended)
                if self._error is not None:  # at once: what still lies here would be undone anyway
                    raise self._error
                if not self._chunks:
                    return
                chunk = self._take()
            yield chunk

    def put_blocking(self, chunk: bytes) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._chunks) < DEPTH)
            if self._abandoned:
                return False
            self._chunks.append(chunk)
            self._wake()
            return True

    # --- on either side, with the lock held ---

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self._wake()
        return chunk

    def _wake(self) -> None:
        self._changed.notify_all()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed_on_loop.set)


async def _coalesced(receive: Receive, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body in chunks of at least CHUNK_BYTES, the last one excepted; count against `limit`."""
    parts: list[bytes] = []
    held = total = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unavailable("the client went away before the whole body had come")
        part, more = message.get("body", b""), message.get("more_body", False)
        total += len(part)
        if total > limit:
            raise LimitExceeded(f"the body has more than {limit} bytes")
        parts.append(part)
        held += len(part)
        if held >= CHUNK_BYTES:
            yield b"".join(parts)
            parts, held = [], 0
    if held:
        yield b"".join(parts)


def _joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the first chunk as it is, so that it comes at once, and the others joined to CHUNK_BYTES."""
    parts: list[bytes] = []
    held, goal = 0, 1
    for chunk in chunks:
        parts.append(chunk)
        held += len(chunk)
        if held >= goal:
            yield b"".join(parts)
            parts, held, goal = [], 0, CHUNK_BYTES
    if held:
        yield b"".join(parts)


def _require_length_within(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise LimitExceeded(f"the body has {int(value)} bytes; the limit is {limit}")


def _look_at_error(result: asyncio.Future[Any]) -> None:
    """Mark a thread's error as seen when nobody is left to wait for it."""
    if not result.cancelled():
        result.exception()
