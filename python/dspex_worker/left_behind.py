"""The threads that DSPy starts for a call and does not wait for when the call is cancelled.

`dspy.Parallel` and `dspy.Evaluate` leave with the first of their threads that raises `CallCancelled`, while
the others work on; `dspy.asyncify` leaves its thread at once. The end of a call means that nothing of it
works any more, so these threads are counted while they run code of a call, and the end of a cancelled call
waits for them. Calls that are not cancelled end when DSPy says so, stragglers or not.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import dspy
from dspy.utils import parallelizer

from dspex_worker.correction import CHECKED_VERSION
from dspex_worker.host import CallCancelled, Host
from dspex_worker.lm import running_call


def install() -> bool:
    """Begins to count. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    parallelizer.ThreadPoolExecutor = _Executor
    # By its module's name: DSPy has a function of the same name beside it.
    sys.modules["dspy.utils.asyncify"].anyio = _Anyio()  # type: ignore[attr-defined]
    return True


_lock = threading.Lock()
# How many threads work for a call now; no entry: none.
_working: dict[Host, int] = {}
# Who waits until none does.
_waiting: dict[Host, Callable[[], None]] = {}


async def ended(host: Host) -> None:
    """If the call was cancelled: waits until no thread works for it any more."""
    if host not in _working:
        return
    try:
        host.check_cancelled()
    except CallCancelled:
        await _none_works(host)


async def _none_works(host: Host) -> None:
    loop = asyncio.get_running_loop()
    none: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(none.set_result, None)
        except RuntimeError:
            pass  # the loop is closed: the worker is ending

    with _lock:
        if host not in _working:
            return
        _waiting[host] = tell
    while not none.done():
        try:
            await asyncio.wait([none])
        except asyncio.CancelledError:
            pass  # the call ends cancelled anyway, and not before its threads


def _work(host: Host, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with _lock:
        _working[host] = _working.get(host, 0) + 1
    try:
        # Counted first: one that begins when the call is at its end finds that it was cancelled.
        host.check_cancelled()
        return function(*args, **kwargs)
    finally:
        with _lock:
            left = _working[host] - 1
            if left:
                _working[host] = left
                tell = None
            else:
                del _working[host]
                tell = _waiting.pop(host, None)
        if tell is not None:
            tell()


class _Executor(ThreadPoolExecutor):
    """In the place of the one that `dspy.Parallel` and `dspy.Evaluate` use."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = running_call()
        if call is None:
            return super().submit(fn, *args, **kwargs)
        return super().submit(_work, call.host, fn, *args, **kwargs)


class _Anyio:
    """What `dspy.asyncify` uses of anyio."""

    CapacityLimiter = anyio.CapacityLimiter

    def __init__(self) -> None:
        self.to_thread = SimpleNamespace(run_sync=_run_sync)


async def _run_sync(function: Callable[[], Any], **options: Any) -> Any:
    call = running_call()
    if call is None:
        return await anyio.to_thread.run_sync(function, **options)
    return await anyio.to_thread.run_sync(lambda: _work(call.host, function), **options)
