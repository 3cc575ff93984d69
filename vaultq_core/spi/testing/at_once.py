"""Doing things at the same time, in threads and in processes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

START_SECONDS = 60.0


def in_threads(count: int, act: Callable[[int], T]) -> list[T]:
    """Call `act(0)`, `act(1)`, … in `count` threads that start together; returns the results in that order."""
    start = threading.Barrier(count)

    def one(number: int) -> T:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def in_processes(act: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """Call `act(*each)` in as many fresh processes, which start together and inherit nothing, as after an exec."""
    fresh = multiprocessing.get_context("spawn")
    start = fresh.Barrier(len(arguments))
    with ProcessPoolExecutor(len(arguments), fresh, initializer=start.wait, initargs=(START_SECONDS,)) as pool:
        return [each.result() for each in [pool.submit(act, *each) for each in arguments]]
