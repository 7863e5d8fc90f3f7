"""One call: from its Open to exactly one Done or Failed, and the host as its module sees it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dspex_worker.host import CallCancelled, HostError
from dspex_worker.item_window import ItemWindow
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.secrets import without_secrets
from dspex_worker.told import json_of, text_of
from dspex_worker.tracing import asks_as, enter

if TYPE_CHECKING:
    from dspex_worker.servicer import Connection, Engine

log = logging.getLogger(__name__)

# Events are dropped (their numbers are not reused, so the host sees the gap) while more than this waits for
# a host that does not read.
EVENT_BACKLOG_BYTES = 16 * 1024 * 1024

# A hundred years: the event loop's clock has to be able to add it.
_LONGEST_DEADLINE_MS = 100 * 365 * 24 * 3600 * 1000

_Waiter = asyncio.Future[pb.Payload] | concurrent.futures.Future[pb.Payload]


def error(kind: pb.Error.Kind.ValueType, message: str, **attributes: Any) -> pb.Error:
    """An error of the worker itself, without an exception behind it."""
    encoded = json.dumps(attributes).encode() if attributes else b""
    return pb.Error(kind=kind, message=message, attributes=encoded)


def cancelled(reason: pb.Cancel.Reason.ValueType) -> pb.Error:
    """How a call ends that the host cancelled for `reason`."""
    if reason == pb.Cancel.REASON_DEADLINE:
        return error(pb.Error.KIND_DEADLINE, "the call's deadline passed")
    why = {
        pb.Cancel.REASON_DROPPED: "the host no longer waits for it",
        pb.Cancel.REASON_SHUTDOWN: "the host is shutting down",
        pb.Cancel.REASON_RECYCLED: "its worker is replaced, and it went on for longer than recycle_patience",
    }.get(reason, "the host asked for it")
    return error(pb.Error.KIND_CANCELLED, f"the call was cancelled: {why}")


class Call:
    """The `Host` of one running call."""

    __slots__ = (
        "_callbacks",
        "_connection",
        "_dropped",
        "_ended",
        "_engine",
        "_events",
        "_items",
        "_loop",
        "_loop_thread",
        "_open",
        "_run_since",
        "_sending",
        "_seq",
        "_started",
        "_state",
        "_task",
        "_verdict",
        "_waiting",
        "call_id",
        "deadline",
    )

    def __init__(self, connection: Connection, call_id: int, open: pb.Open) -> None:
        self.call_id = call_id
        self._connection = connection
        self._open = open
        self._engine: Engine = connection.engine
        self._loop = connection.loop
        self._loop_thread = connection.loop_thread
        # What the call ends with, unless its result is faster: set once it is cancelled.
        self._verdict: pb.Error | None = None
        self._started = False
        self._run_since = time.perf_counter_ns()
        self._ended = False
        self._callbacks = 0
        self._waiting: dict[int, _Waiter] = {}
        self._state: asyncio.Future[pb.State] | None = None
        # Appended to from any thread, emptied on the loop's.
        self._events: deque[tuple[str, bytes]] = deque()
        self._seq = 0
        self._dropped = 0
        # Of a thread's item, until the host has room for more.
        self._sending: asyncio.Task[None] | None = None
        self._items: ItemWindow | None = None
        self.deadline: float | None = None
        if open.deadline_ms:
            self.deadline = self._loop.time() + min(open.deadline_ms, _LONGEST_DEADLINE_MS) / 1000
            connection.deadlines.watch(self.deadline)
        self._task = self._loop.create_task(self._run())

    # What the connection does with it (on the loop's thread).

    def abort(self, verdict: pb.Error) -> None:
        """Stops the module; the call ends with `verdict` when it really stopped."""
        if self._ended:
            return
        if self._verdict is None:
            self._verdict = verdict
            self._connection.cancelled(self)
        # A task that has not started would end without running any of `_run`.
        if self._started:
            self._task.cancel()
        self._release()

    def expire(self) -> None:
        """Stops the module: the deadline has passed."""
        self.abort(
            error(pb.Error.KIND_DEADLINE, f"the call's deadline of {self._open.deadline_ms} ms passed")
        )

    def reply(self, reply: pb.CallbackReply) -> None:
        """Hands the host's answer to whoever waits for it."""
        waiter = self._waiting.pop(reply.id, None)
        if waiter is None:
            return
        match reply.WhichOneof("result"):
            case "ok":
                _settle(waiter.set_result, reply.ok)
            case "error":
                _settle(waiter.set_exception, HostError(reply.error))
            case _:
                problem = error(pb.Error.KIND_PROTOCOL, "the host's callback reply has no result")
                _settle(waiter.set_exception, HostError(problem))

    def taken(self, count: int) -> None:
        """So many items found room at the host since the call began."""
        if self._items is not None:
            self._items.taken(count)

    def learn(self, state: pb.State) -> None:
        """Takes specs, asked for or not."""
        if self._state is not None and not self._state.done():
            self._state.set_result(state)
            return
        try:
            self._engine.learn(state)
        except Exception as exc:
            self.abort(self._describe(exc))

    # What the module does with it.

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        return (await self.exchange(kind, name, payload)).json

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        return self.exchange_blocking(kind, name, payload).json

    async def exchange(self, kind: int, name: str, payload: pb.Payload | bytes) -> pb.Payload:
        if threading.get_ident() != self._loop_thread:
            # DSPy runs async tools of sync modules in a loop of their thread.
            return await asyncio.wrap_future(self._ask_from_thread(kind, name, payload))
        if self._verdict is not None or self._ended:
            raise asyncio.CancelledError
        waiter: asyncio.Future[pb.Payload] = self._loop.create_future()
        self._ask(waiter, kind, name, payload)
        if kind != pb.Callback.KIND_LM:
            # Functions of the host are quick as a rule; models never are.
            self._connection.asked()
        return await waiter

    def exchange_blocking(self, kind: int, name: str, payload: pb.Payload | bytes) -> pb.Payload:
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError(
                f"a blocking callback ({name!r}) from the worker's event loop would never get its answer: "
                "await the asynchronous one, or run the caller on a thread"
            )
        return self._ask_from_thread(kind, name, payload).result()

    def event(self, type: str, body: object) -> None:
        if self._ended:
            return
        self._events.append((type, body if isinstance(body, bytes) else json_of(body)))
        if threading.get_ident() == self._loop_thread:
            self._flush_events()
        else:
            self._from_thread(self._flush_events)

    async def item(self, body: bytes) -> None:
        if self._verdict is not None or self._ended:
            raise asyncio.CancelledError
        if self._events:
            self._flush_events()
        message = self._event(self._seq + 1, "item", body)
        limit = self._connection.max_message_bytes
        if len(message) > limit:
            text = f"an item of {len(message)} bytes is over the limit of {limit} bytes for one message"
            raise HostError(error(pb.Error.KIND_TOO_LARGE, text, size=len(message), limit=limit))
        self._seq += 1
        if self._items is None:
            self._items = ItemWindow()
        self._items.sent(len(message))
        self._connection.send(self.call_id, message)
        # A generator that waits for nothing would keep the loop from sending, and from hearing of the end.
        await asyncio.sleep(0)
        await self._items.room()

    def item_blocking(self, body: bytes) -> None:
        self.check_cancelled()
        sent: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._from_thread(self._send_item, sent, body)
        sent.result()

    def _send_item(self, sent: concurrent.futures.Future[None], body: bytes) -> None:
        task = self._loop.create_task(self.item(body))
        # Waits for the host as long as the thread does: the call ends later than both.
        self._sending = task

        def end(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                _settle(sent.set_exception, CallCancelled())
            elif (problem := task.exception()) is not None:
                _settle(sent.set_exception, problem)
            else:
                _settle(sent.set_result, None)

        task.add_done_callback(end)

    def check_cancelled(self) -> None:
        if self._verdict is not None:
            raise CallCancelled

    # The call's own life.

    async def _run(self) -> None:
        self._started = True
        session = self._open.session.id
        if session or self._open.traceparent:
            enter(session, self._open.traceparent, self._open.tracestate)
        try:
            if self._verdict is not None:
                raise asyncio.CancelledError
            missing = self._engine.missing(self._open)
            if any(missing):
                await self._fetch(missing)
            output = await self._engine.run(self._open, self)
            if self._items is not None:
                # So that none of the host's answers is on its way to a call that has ended.
                await self._items.empty()
            message = self._done(output)
        except GeneratorExit:
            raise  # the loop is gone, and the process with it
        except BaseException as exc:
            message = self._failed(self._judge(exc))
        self._end(message)

    async def _fetch(self, missing: tuple[list[str], list[str], list[str]]) -> None:
        self._state = self._loop.create_future()
        specs, lms, tools = missing
        self._send(pb.Down(call=self.call_id, need_state=pb.NeedState(specs=specs, lms=lms, tools=tools)))
        self._engine.learn(await self._state)
        specs, lms, tools = self._engine.missing(self._open)
        if specs or lms or tools:
            lacking = ", ".join([*specs, *lms, *tools])
            raise HostError(error(pb.Error.KIND_PROTOCOL, f"the host's State does not hold {lacking}"))

    def _judge(self, exc: BaseException) -> pb.Error:
        """The error that a call ends with which ended by an exception."""
        verdict = self._verdict
        if verdict is None:
            return self._describe(exc)
        if not isinstance(exc, asyncio.CancelledError | CallCancelled):
            verdict.cause.CopyFrom(self._describe(exc))
        return verdict

    def _describe(self, exc: BaseException) -> pb.Error:
        if isinstance(exc, HostError) and exc.error.kind == pb.Error.KIND_PROTOCOL:
            return exc.error
        try:
            return self._engine.failed(exc)
        except Exception:
            log.exception("the engine cannot describe %s", type(exc).__qualname__)
            cls = type(exc)
            described = error(pb.Error.KIND_PYTHON, without_secrets(text_of(exc)))
            setattr(described, "class", f"{cls.__module__}.{cls.__qualname__}")
            return described

    def _done(self, output: pb.Payload) -> bytes:
        down = pb.Down(call=self.call_id)
        # Faster than to build it from the inside out.
        down.done.output.CopyFrom(output)
        down.done.run_us = self._run_us()
        message = down.SerializeToString()
        limit = self._connection.max_message_bytes
        if len(message) <= limit:
            return message
        text = f"the call's result of {len(message)} bytes is over the limit of {limit} bytes for one message"
        return self._failed(error(pb.Error.KIND_TOO_LARGE, text, size=len(message), limit=limit))

    def _failed(self, failure: pb.Error) -> bytes:
        down = pb.Down(call=self.call_id, failed=pb.Failed(error=failure, run_us=self._run_us()))
        if down.ByteSize() > self._connection.max_message_bytes:
            # The attributes, causes or message are too much; the kind and the class always fit.
            short = pb.Error(kind=failure.kind, message=failure.message[:4096], retryable=failure.retryable)
            setattr(short, "class", getattr(failure, "class"))
            down = pb.Down(call=self.call_id, failed=pb.Failed(error=short, run_us=self._run_us()))
        return down.SerializeToString()

    def _run_us(self) -> int:
        return max(1, (time.perf_counter_ns() - self._run_since) // 1000)

    def _end(self, message: bytes) -> None:
        if self._events:
            self._flush_events()
        self._ended = True
        if self._waiting or self._sending is not None:
            self._release()
        self._connection.end(self, message)

    def _release(self) -> None:
        """Wakes everyone who waits for the host and whom nobody needs any more."""
        if self._sending is not None:
            self._sending.cancel()
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            if isinstance(waiter, asyncio.Future):
                waiter.cancel()
            else:
                _settle(waiter.set_exception, CallCancelled())

    def _send(self, down: pb.Down) -> None:
        self._connection.send(self.call_id, down.SerializeToString())

    # Callbacks and events.

    def _ask_from_thread(
        self, kind: int, name: str, payload: pb.Payload | bytes
    ) -> concurrent.futures.Future[pb.Payload]:
        self.check_cancelled()
        waiter: concurrent.futures.Future[pb.Payload] = concurrent.futures.Future()
        self._from_thread(self._ask, waiter, kind, name, payload)
        return waiter

    def _ask(self, waiter: _Waiter, kind: int, name: str, payload: pb.Payload | bytes) -> None:
        if self._verdict is not None or self._ended:
            # The call was cancelled, or is over, while the thread's request was on its way.
            _settle(waiter.set_exception, CallCancelled())
            return
        if self._events:
            self._flush_events()
        self._callbacks += 1
        try:
            # Whatever is neither is refused by the message.
            body = payload if isinstance(payload, pb.Payload) else pb.Payload(json=payload)
            asked = pb.Callback(id=self._callbacks, kind=kind, name=name, payload=body)  # type: ignore[arg-type]
            if (span := asks_as()) is not None:
                asked.traceparent, asked.tracestate = span.traceparent, span.tracestate
            message = pb.Down(call=self.call_id, callback=asked).SerializeToString()
        except (TypeError, ValueError) as exc:
            # A name that is not Unicode, a payload that is not bytes.
            _settle(waiter.set_exception, exc)
            return
        limit = self._connection.max_message_bytes
        if len(message) > limit:
            what = f"a callback to {name!r} of {len(message)} bytes"
            text = f"{what} is over the limit of {limit} bytes for one message"
            refused = error(pb.Error.KIND_TOO_LARGE, text, size=len(message), limit=limit)
            _settle(waiter.set_exception, HostError(refused))
            return
        self._waiting[self._callbacks] = waiter
        self._connection.send(self.call_id, message)

    def _flush_events(self) -> None:
        events = self._events
        while events:
            type, body = events.popleft()
            if self._ended:
                continue
            self._seq += 1
            encoded = self._event(self._seq, type, body)
            over = len(encoded) > self._connection.max_message_bytes
            if over or self._connection.backlog() > EVENT_BACKLOG_BYTES:
                self._dropped += 1
                if self._dropped == 1:
                    why = f"of {len(encoded)} bytes is too large" if over else "finds the host not reading"
                    log.warning("call %d: event %d (%s) %s: dropped", self.call_id, self._seq, type, why)
            else:
                self._connection.send(self.call_id, encoded)

    def _event(self, seq: int, type: str, body: bytes) -> bytes:
        return pb.Down(call=self.call_id, event=pb.Event(seq=seq, type=type, json=body)).SerializeToString()

    def _from_thread(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop is closed: the worker is ending, and this thread is what is left of a call.
            raise CallCancelled from None


def _settle(settle: Callable[[Any], None], value: object) -> None:
    """Sets a future's end, unless whoever waited for it gave up first."""
    try:
        settle(value)
    except (asyncio.InvalidStateError, concurrent.futures.InvalidStateError):
        pass
