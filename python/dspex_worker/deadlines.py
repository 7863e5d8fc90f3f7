"""The deadlines of the calls of one connection, with one timer for all of them.

Almost every call ends long before its deadline, and a timer for each costs as much as starting the call's
task. The one timer stands at the earliest deadline that it has seen; the end of a call does not move it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol


class Expiring(Protocol):
    """What has a deadline: a call."""

    # On the loop's clock.
    deadline: float | None

    def expire(self) -> None: ...


class Deadlines:
    """Expires what is pending when its time has come. For the loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pending: Callable[[], Iterable[Expiring]]) -> None:
        self._loop = loop
        self._pending = pending
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def watch(self, deadline: float) -> None:
        """Has the timer go off at this time or before."""
        if self._timer is not None:
            if self._at <= deadline:
                return
            self._timer.cancel()
        self._at = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        # The timer's own time counts as reached: the loop's clock may be a little behind it.
        now = max(self._loop.time(), self._at)
        later: list[float] = []
        for call in list(self._pending()):
            if call.deadline is None:
                continue
            if call.deadline <= now:
                call.deadline = None
                call.expire()
            else:
                later.append(call.deadline)
        if later:
            self.watch(min(later))
