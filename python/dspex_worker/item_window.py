"""How far a generator is ahead of the host that reads its items."""

from __future__ import annotations

import asyncio
from collections import deque

# A generator waits while so many of its items, or so much of them, has no answer of the host: what reads them
# may be slower, and nothing of them may be dropped.
ITEMS_AHEAD = 32
BYTES_AHEAD = 1024 * 1024


class ItemWindow:
    """The items of one call that the host has not taken yet. All of it is for the loop's thread."""

    __slots__ = ("_bytes", "_change", "_sizes", "_taken")

    def __init__(self) -> None:
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._taken = 0
        self._change: asyncio.Future[None] | None = None

    def sent(self, size: int) -> None:
        self._sizes.append(size)
        self._bytes += size

    def taken(self, count: int) -> None:
        """So many items found room at the host since the call began."""
        while self._sizes and self._taken < count:
            self._taken += 1
            self._bytes -= self._sizes.popleft()
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    async def room(self) -> None:
        """Until one more item may be sent."""
        while len(self._sizes) >= ITEMS_AHEAD or self._bytes >= BYTES_AHEAD:
            await self._changed()

    async def empty(self) -> None:
        """Until the host has taken all."""
        while self._sizes:
            await self._changed()

    async def _changed(self) -> None:
        # One at a time waits: the call's generator, or the call after it. The call's end cancels either.
        self._change = asyncio.get_running_loop().create_future()
        await self._change
