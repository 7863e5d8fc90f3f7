"""Where a cancelled call stops in synchronous code: at the next boundary that DSPy itself knows.

Python cannot stop a thread. But before each call of a module, language model, tool, adapter, retriever,
evaluation, interpreter or optimizer, DSPy looks which callbacks there are: `settings.callbacks +
instance.callbacks`. The settings of each call hold a list that looks, whenever it is asked so, whether the
call was cancelled. It raises what user code does not catch, for it is no `Exception`, and adds nothing
else: without callbacks, DSPy goes on at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dspex_worker.host import CallCancelled

if TYPE_CHECKING:
    from dspex_worker.lm import Call


class Boundaries(list[Any]):
    """No callbacks, and a look at the call whenever somebody asks for them."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def __add__(self, others: list[Any]) -> list[Any]:
        self._look()
        return super().__add__(others)

    def __iter__(self) -> Iterator[Any]:
        self._look()
        return super().__iter__()

    def __bool__(self) -> bool:
        # The worker's own tools ask so.
        self._look()
        return False

    # A copy of a call's settings, in whatever thread, belongs to the same call.
    def __copy__(self) -> Boundaries:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Boundaries:
        return self

    def _look(self) -> None:
        try:
            self._call.host.check_cancelled()
        except CallCancelled:
            if threading.get_ident() == self._call.loop_thread:
                # What the event loop knows as the end of a task.
                raise asyncio.CancelledError from None
            raise
