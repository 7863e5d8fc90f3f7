"""Programs that look at the trace of their call."""

from __future__ import annotations

import logging
from typing import Any

import dspex_worker


def where() -> list[str] | None:
    """The trace as Python sees it."""
    trace = dspex_worker.trace()
    return None if trace is None else [trace.traceparent, trace.tracestate]


async def use(name: str) -> list[Any]:
    """Its own trace, and what a tool of the session says."""
    return [where(), await dspex_worker.session().tools[name].acall()]


def use_in_thread(name: str) -> list[Any]:
    """The same from a thread."""
    return [where(), dspex_worker.session().tools[name]()]


async def use_below(name: str, traceparent: str) -> list[Any]:
    """The same below a span that another tracer of Python's made."""
    with dspex_worker.continue_trace(traceparent):
        return [where(), await dspex_worker.session().tools[name].acall()]


def log(text: str) -> None:
    """Logs a line within the call."""
    logging.getLogger("program").warning("%s", text)
