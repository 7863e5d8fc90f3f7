"""The threads of calls: synchronous code runs on them, so that the event loop goes on."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread

from dspex_worker.host import Host


class Threads:
    """So many threads at once, for calls of each depth by themselves.

    A call waits for those that its tools make. If they shared their threads with it, all threads could be
    held by calls that wait for one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._limiters: dict[int, anyio.CapacityLimiter] = {}

    @property
    def busy(self) -> int:
        """The threads that run now."""
        return sum(limiter.borrowed_tokens for limiter in self._limiters.values())

    async def run(self, function: Callable[[], Any], host: Host, depth: int) -> Any:
        """Runs a function on a thread, in the context of the call.

        Python cannot stop a thread. A cancelled call waits here for the end of its thread, which comes with
        the next callback: that raises `CallCancelled` within it.
        """
        limiter = self._limiters.get(depth)
        if limiter is None:
            limiter = self._limiters[depth] = anyio.CapacityLimiter(self._limit)
        async with limiter:
            thread = asyncio.ensure_future(
                anyio.to_thread.run_sync(
                    functools.partial(_checked, host, function), limiter=anyio.CapacityLimiter(1)
                )
            )
            cancelled: asyncio.CancelledError | None = None
            while not thread.done():
                try:
                    await asyncio.wait([thread])
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                # Fetched, so that asyncio does not report it as one that nobody saw.
                thread.exception()
                raise cancelled
            return thread.result()


def _checked(host: Host, function: Callable[[], Any]) -> Any:
    host.check_cancelled()
    try:
        return function()
    except (SystemExit, KeyboardInterrupt) as error:
        # Out of a thread, asyncio would hand these to the event loop and end the worker with all its calls.
        raise RuntimeError(
            f"the code raised {type(error).__name__}, which would end the whole worker: {error}"
        ) from error
