"""Corrections of DSPy where it blocks the event loop, or loses the call that it works for.

* `dspy.RLM.aforward` runs the interpreter on the event loop, and with it the model's code, which waits for
  language models and tools. Here it is `forward`, on a thread.
* `dspy.Embeddings` asks its embedder from a thread of its own, that belongs to no call. With an embedder of
  the host, here the thread that searches asks.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import dspy
from dspy.retrievers import embeddings

from dspex_worker.correction import CHECKED_VERSION
from dspex_worker.host_functions import HostEmbedder
from dspex_worker.lm import running_call

_aforward = dspy.RLM.aforward
_Unbatchify = embeddings.Unbatchify


def install() -> bool:
    """Installs them. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    dspy.RLM.aforward = _forward_on_a_thread
    embeddings.Unbatchify = _search
    return True


@functools.wraps(_aforward)
async def _forward_on_a_thread(self: Any, **inputs: Any) -> Any:
    call = running_call()
    if call is None or threading.get_ident() != call.loop_thread:
        return await _aforward(self, **inputs)
    return await call.in_thread(functools.partial(self.forward, **inputs))


def _search(batch: Callable[[list[Any]], list[Any]], *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    embedder = getattr(getattr(batch, "__self__", None), "embedder", None)
    if isinstance(getattr(embedder, "model", embedder), HostEmbedder):
        return _OneByOne(batch)
    return _Unbatchify(batch, *args, **kwargs)  # type: ignore[no-any-return]


class _OneByOne:
    """Searches for each query by itself; the host may put together what comes at once."""

    def __init__(self, batch: Callable[[list[Any]], list[Any]]) -> None:
        self._batch = batch

    def __call__(self, query: Any) -> Any:
        return next(iter(self._batch([query])))

    def close(self) -> None:
        """There is no thread to end."""
