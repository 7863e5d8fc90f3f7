"""W3C trace context: the trace that the host says a call belongs to, for Python code and for what it logs.

Nothing of OpenTelemetry is needed. Where its API is installed, its current span is the host's span when a
call begins, so that what its users and instrumentations record joins the host's trace; and what a call asks
the host for carries OpenTelemetry's current span back.
"""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
    r"="
    r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
# More than other systems have to take.
_MAX_MEMBERS = 32
_MAX_STATE = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """Where in which trace something happens."""

    # 32 lower-case hex digits.
    trace_id: str
    # 16 lower-case hex digits: the span that what happens here is below.
    span_id: str
    # Whether the caller may have recorded its part.
    sampled: bool
    # What the systems on the way added; empty for nothing.
    tracestate: str = ""

    @property
    def traceparent(self) -> str:
        """The header of that name, for a request to another system."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse(traceparent: str, tracestate: str = "") -> Trace | None:
    """Reads the two headers.

    None for a `traceparent` that breaks the rules of W3C; a `tracestate` that does is left out.
    """
    match = _PARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1), tracestate if _is_state(tracestate) else "")


def _is_state(text: str) -> bool:
    members = [member.strip(" \t") for member in text.split(",")]
    return (
        0 < len(text) <= _MAX_STATE
        and len(members) <= _MAX_MEMBERS
        and all(not member or _MEMBER.fullmatch(member) for member in members)
    )


@dataclass(frozen=True, slots=True)
class Running:
    """What of the running call its log lines say."""

    session: str
    trace: Trace | None


_RUNNING: contextvars.ContextVar[Running | None] = contextvars.ContextVar("dspex_running_call", default=None)
# What code named with `continue_trace`.
_NAMED: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("dspex_named_trace", default=None)

# OpenTelemetry's current span; None where its API is not installed, or not yet looked for.
_current_span: Callable[[], Trace | None] | None = None
_attach: Callable[[Trace], None] | None = None


def trace() -> Trace | None:
    """The trace that this code is in: from a module's `forward` or `aforward`, a tool, a metric, and from the
    threads that DSPy starts for them. None where nobody traces the call, and outside of calls.

    With OpenTelemetry it is its current span.
    """
    return _NAMED.get() or (_current_span() if _current_span is not None else None) or of_call()


def of_call() -> Trace | None:
    """The trace as the host named it when the call began."""
    running = _RUNNING.get()
    return None if running is None else running.trace


@contextlib.contextmanager
def continue_trace(traceparent: str, tracestate: str = "") -> Iterator[None]:
    """What the code within asks the host for is below this span: for tracers other than OpenTelemetry.

    Raises `ValueError` for a `traceparent` that breaks the rules of W3C.
    """
    named = parse(traceparent, tracestate)
    if named is None:
        raise ValueError(f"no W3C traceparent: {traceparent!r:.80}")
    token = _NAMED.set(named)
    try:
        yield
    finally:
        _NAMED.reset(token)


def running() -> Running | None:
    """What the log says of the call that this code is part of."""
    return _RUNNING.get()


def enter(session: str, traceparent: str, tracestate: str) -> None:
    """A call begins, in a context of its own: nothing has to be taken back."""
    given = parse(traceparent, tracestate) if traceparent else None
    _RUNNING.set(Running(session, given))
    if given is not None and _attach is not None:
        _attach(given)


def asks_as() -> Trace | None:
    """The span that a callback is below, where that is not the one which the host named itself."""
    here, host = trace(), of_call()
    if here is None or (host is not None and here.span_id == host.span_id and here.trace_id == host.trace_id):
        return None
    return here


def prepare() -> None:
    """Looks for OpenTelemetry's API. Starts no thread and opens nothing: a zygote can do it for all."""
    global _current_span, _attach
    try:
        from opentelemetry import context
        from opentelemetry import trace as api
        from opentelemetry.trace.span import TraceState
    except ImportError:
        return

    def current() -> Trace | None:
        known = api.get_current_span().get_span_context()
        if not known.is_valid:
            return None
        state = known.trace_state.to_header() if known.trace_state else ""
        return Trace(f"{known.trace_id:032x}", f"{known.span_id:016x}", known.trace_flags.sampled, state)

    def attach(given: Trace) -> None:
        remote = api.SpanContext(
            trace_id=int(given.trace_id, 16),
            span_id=int(given.span_id, 16),
            is_remote=True,
            trace_flags=api.TraceFlags(int(given.sampled)),
            trace_state=TraceState.from_header([given.tracestate]) if given.tracestate else TraceState(),
        )
        context.attach(api.set_span_in_context(api.NonRecordingSpan(remote)))

    _current_span, _attach = current, attach
