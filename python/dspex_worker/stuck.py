"""Calls that go on although they were cancelled: their code neither waits nor calls back, or swallows it.

Python cannot stop a thread. A worker of a pool is killed by its host for it; a worker that an operator serves
has to end itself, or its threads would be taken one by one while it answers all pings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Cancelled(Protocol):
    """A call that was cancelled."""

    call_id: int


class StuckCalls:
    """The calls that go on for `grace_s` seconds after their cancellation. For the loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, grace_s: float, found: Callable[[], None]) -> None:
        """`found` is called whenever there is one more."""
        self._loop = loop
        self._grace_s = grace_s
        self._found = found
        self._timers: dict[Cancelled, asyncio.TimerHandle] = {}
        self._calls: set[Cancelled] = set()

    def __len__(self) -> int:
        return len(self._calls)

    def watch(self, call: Cancelled, host: str) -> None:
        """The call of this host was cancelled just now."""
        self._timers[call] = self._loop.call_later(self._grace_s, self._find, call, host)

    def forget(self, call: Cancelled) -> None:
        """The call has ended."""
        if (timer := self._timers.pop(call, None)) is not None:
            # It would keep the call with its inputs for all of the grace.
            timer.cancel()
        self._calls.discard(call)

    def _find(self, call: Cancelled, host: str) -> None:
        del self._timers[call]
        self._calls.add(call)
        log.error(
            "call %d of the host %s goes on %g s after it was cancelled, and nothing can stop it: the worker"
            " takes no new calls, and ends when all others have ended",
            call.call_id,
            host,
            self._grace_s,
        )
        self._found()
