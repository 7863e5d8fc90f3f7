"""The service itself, the same for both carriers: connections, their calls, draining and statistics.

A carrier makes a `Connection` for each socket (framed) or stream (gRPC), hands it every message that
arrives, and gives it a `Link` to send by. Everything here runs on the worker's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from dspex_worker import PROTOCOL, __version__
from dspex_worker.call import Call, cancelled, error
from dspex_worker.config import WorkerConfig
from dspex_worker.deadlines import Deadlines
from dspex_worker.figures import LoopLag, Memory
from dspex_worker.fragments import ProtocolViolation, Reassembly, TooLarge
from dspex_worker.host import Host
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.stuck import StuckCalls

log = logging.getLogger(__name__)

# How many ended calls a connection remembers to tell a reused id from a new one.
_REMEMBERED_CALLS = 1024
# Of the messages in transit on one connection: as many times the limit of a single one.
_CONNECTION_MESSAGES = 4


class Engine(Protocol):
    """What runs calls: DSPy, in `dspex_worker.engine`."""

    def missing(self, open: pb.Open) -> tuple[list[str], list[str], list[str]]:
        """The hashes of the specs, language models and tools that the call needs and the engine lacks."""
        ...

    def learn(self, state: pb.State) -> None: ...

    async def run(self, open: pb.Open, host: Host) -> pb.Payload:
        """Returns or raises only when nothing of the call runs any more."""
        ...

    def failed(self, error: BaseException) -> pb.Error: ...

    def figures(self) -> tuple[int, int]:
        """The threads that run calls now, and the instances that are kept."""
        ...


class Link(Protocol):
    """A carrier's sending side."""

    def send(self, call: int, message: bytes, last: bool) -> None:
        """Sends one encoded `Down`, in order within its call. `last`: a stream for one call ends with it."""
        ...

    def asked(self) -> None:
        """What was sent last is a question that the host answers soon as a rule."""
        ...

    def backlog(self) -> int:
        """The bytes that wait for the host to read."""
        ...


class Servicer:
    """One per worker process."""

    def __init__(self, config: WorkerConfig, engine: Engine, facts: Mapping[str, Any]) -> None:
        """`facts` is what the engine says of itself for `Hello`. Needs the running loop."""
        self.config = config
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.loop_thread = threading.get_ident()
        # Done when the worker was told to drain and the last call ended, but for those that never will.
        self.drained: asyncio.Future[None] = self.loop.create_future()
        self.drain_started = asyncio.Event()
        self.in_flight = 0
        self.calls = 0
        # Looked for where nobody else would end this process.
        self.stuck: StuckCalls | None = None
        self._lag = LoopLag(self.loop)
        self._memory = Memory()
        self._awaiting_drain: list[Connection] = []
        self._connections: set[Connection] = set()
        capabilities = [*facts.get("capabilities", ()), "framed", "grpc"]
        if type(self.loop).__module__.partition(".")[0] == "uvloop":
            capabilities.append("uvloop")
        self.hello = pb.Down(
            hello=pb.Hello(
                protocol=PROTOCOL,
                worker=config.worker,
                generation=config.generation,
                dspy_version=facts.get("dspy_version", ""),
                python_version=platform.python_version(),
                worker_version=__version__,
                capabilities=sorted(set(capabilities)),
                fingerprints=facts.get("fingerprints", {}),
                max_message_bytes=config.max_message_bytes,
                pid=os.getpid(),
            )
        ).SerializeToString()

    def connect(self, link: Link, *, single_call: bool, host: str = "host") -> Connection:
        """A new connection, whose first message (Hello) is sent. Its peer may speak: the carrier saw to it.

        `single_call`: it carries one call and ends with it. `host`: what the log calls the peer.
        """
        connection = Connection(self, link, single_call=single_call, host=host)
        self._connections.add(connection)
        link.send(0, self.hello, False)
        return connection

    def drain(self, connection: Connection | None = None) -> None:
        """Takes no new calls, and is `drained` when none is left; `connection` is then sent Stats."""
        if not self.drain_started.is_set():
            self.drain_started.set()
            for other in self._connections:
                other.tell_of_drain()
        if connection is not None:
            self._awaiting_drain.append(connection)
        self._finish_drain_if_idle()

    def end_if_stuck(self, grace_s: float, end: Callable[[], None]) -> None:
        """Has `end` called when a call goes on for `grace_s` seconds after it was cancelled.

        The drain is over when only such calls are left.
        """

        def found() -> None:
            end()
            self._finish_drain_if_idle()

        self.stuck = StuckCalls(self.loop, grace_s, found)

    def abort_calls(self, verdict: pb.Error) -> None:
        """Stops every call of every connection."""
        for connection in self._connections:
            connection.abort_calls(verdict)

    @property
    def draining(self) -> bool:
        """No new calls are taken."""
        return self.drain_started.is_set()

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def call_ended(self, call: Call) -> None:
        self.in_flight -= 1
        if self.stuck is not None:
            self.stuck.forget(call)
        if self.draining:
            self._finish_drain_if_idle()

    def call_cancelled(self, call: Call, host: str) -> None:
        if self.stuck is not None:
            self.stuck.watch(call, host)

    def stats(self) -> pb.Stats:
        """How the worker is; where a figure cannot be had, what the host cannot do without."""
        stats = pb.Stats(
            in_flight=self.in_flight,
            calls=self.calls,
            sync_threads=self.config.sync_threads,
            draining=self.draining,
        )
        try:
            stats.sync_threads_busy, stats.instances = self.engine.figures()
            stats.rss_bytes = self._memory.rss()
            stats.pss_bytes = self._memory.pss()
            stats.loop_lag_us = self._lag.microseconds()
        except Exception:
            log.exception("not all figures of this worker can be had")
        return stats

    def _finish_drain_if_idle(self) -> None:
        if self.in_flight > (len(self.stuck) if self.stuck is not None else 0):
            return
        waiting, self._awaiting_drain = self._awaiting_drain, []
        for connection in waiting:
            connection.send(0, pb.Down(stats=self.stats()).SerializeToString(), last=True)
        if not self.drained.done():
            self.drained.set_result(None)


class Connection:
    """The calls of one socket or stream."""

    def __init__(self, servicer: Servicer, link: Link, *, single_call: bool, host: str) -> None:
        self.host = host
        self.engine = servicer.engine
        self.loop = servicer.loop
        self.loop_thread = servicer.loop_thread
        self.max_message_bytes = servicer.config.max_message_bytes
        self._servicer = servicer
        self._link: Link | None = link
        # The host asks on this connection how the worker is.
        self._watching = False
        self._single_call = single_call
        self._calls: dict[int, Call] = {}
        self.deadlines = Deadlines(self.loop, self._calls.values)
        self._ended: set[int] = set()
        self._ended_order: deque[int] = deque()
        limit = self.max_message_bytes
        self._reassembly = Reassembly(limit, limit * _CONNECTION_MESSAGES)

    def receive(self, message: bytes) -> None:
        """Takes one encoded `Up`. Raises `ProtocolViolation`: the carrier then ends the connection."""
        self._dispatch(_decode(message))

    def lost(self) -> None:
        """The carrier is gone: nobody waits for these calls any more."""
        self._link = None
        self.deadlines.close()
        self.abort_calls(error(pb.Error.KIND_CANCELLED, "the connection to the host was lost"))
        self._servicer.forget(self)

    def abort_calls(self, verdict: pb.Error) -> None:
        for call in list(self._calls.values()):
            call.abort(pb.Error.FromString(verdict.SerializeToString()))

    def tell_of_drain(self) -> None:
        """A host that shares the worker learns at once that it takes no new calls."""
        if self._single_call and self._watching:
            self.send(0, pb.Down(stats=self._servicer.stats()).SerializeToString())

    @property
    def idle(self) -> bool:
        """No call is running."""
        return not self._calls

    def send(self, call: int, message: bytes, last: bool = False) -> None:
        if self._link is not None:
            self._link.send(call, message, last)

    def asked(self) -> None:
        # Beside other calls there is something else to do meanwhile, for this process or for the host.
        if self._link is not None and len(self._calls) == 1:
            self._link.asked()

    def backlog(self) -> int:
        return self._link.backlog() if self._link is not None else 0

    def end(self, call: Call, message: bytes) -> None:
        """Sends the end of a call and forgets it."""
        call_id = call.call_id
        del self._calls[call_id]
        self._finish(call_id, message)
        self._servicer.call_ended(call)

    def cancelled(self, call: Call) -> None:
        """The call is to stop, for whatever reason."""
        self._servicer.call_cancelled(call, self.host)

    def _finish(self, call_id: int, message: bytes) -> None:
        self._reassembly.refuse(call_id)
        self._ended.add(call_id)
        self._ended_order.append(call_id)
        if len(self._ended_order) > _REMEMBERED_CALLS:
            self._ended.discard(self._ended_order.popleft())
        if self._link is not None:
            self._link.send(call_id, message, True)

    def _refuse(self, call_id: int, failure: pb.Error) -> None:
        """Ends a call that never started."""
        down = pb.Down(call=call_id, failed=pb.Failed(error=failure))
        self._finish(call_id, down.SerializeToString())

    def _dispatch(self, up: pb.Up) -> None:
        kind = up.WhichOneof("kind")
        if kind == "open":
            self._open(up.call, up.open)
        elif kind == "callback_reply":
            call = self._calls.get(up.call)
            if call is not None:
                call.reply(up.callback_reply)
        elif kind == "items_taken":
            call = self._calls.get(up.call)
            if call is not None:
                call.taken(up.items_taken.count)
        elif kind == "fragment":
            self._fragment(up.call, up.fragment)
        elif kind == "state":
            self._state(up.call, up.state)
        elif kind == "cancel":
            self._cancel(up.call, up.cancel)
        elif kind == "ping":
            self._ping(up.ping.nonce)
        elif kind == "drain":
            log.info("the host %s asks for a drain", self.host)
            self._servicer.drain(self)
        else:
            raise ProtocolViolation(
                f"a message of call {up.call} is of no kind that protocol {PROTOCOL} knows"
            )

    def _open(self, call_id: int, open: pb.Open) -> None:
        if call_id == 0:
            raise ProtocolViolation("Open for call 0, which stands for the connection itself")
        if call_id in self._calls or call_id in self._ended:
            raise ProtocolViolation(f"Open for call {call_id}, whose id was used before")
        if self._single_call and (self._calls or self._ended):
            raise ProtocolViolation("a second Open on a stream, which carries one call")
        servicer = self._servicer
        if servicer.draining:
            self._refuse(
                call_id, error(pb.Error.KIND_DRAINING, "the worker is draining and takes no new calls")
            )
            return
        servicer.calls += 1
        servicer.in_flight += 1
        self._calls[call_id] = Call(self, call_id, open)

    def _state(self, call_id: int, state: pb.State) -> None:
        call = self._calls.get(call_id)
        if call is not None:
            call.learn(state)
        elif call_id == 0:
            try:
                self.engine.learn(state)
            except Exception:
                # No call to fail: the one that needs it will ask for it, and fail with the reason.
                log.exception("State that no call asked for cannot be used")

    def _cancel(self, call_id: int, cancel: pb.Cancel) -> None:
        # The host sends nothing after it, not even the rest of what it had begun to send.
        unfinished = self._reassembly.refuse(call_id)
        call = self._calls.get(call_id)
        if call is not None:
            call.abort(cancelled(cancel.reason))
        elif unfinished and call_id not in self._ended:
            # Its Open was still on the way.
            self._refuse(call_id, cancelled(cancel.reason))

    def _fragment(self, call_id: int, fragment: pb.Fragment) -> None:
        try:
            message = self._reassembly.feed(call_id, fragment)
        except TooLarge as exc:
            failure = error(pb.Error.KIND_TOO_LARGE, str(exc), size=exc.total, limit=exc.limit)
            call = self._calls.get(call_id)
            if call is not None:
                call.abort(failure)
            elif call_id not in self._ended:
                self._refuse(call_id, failure)
            return
        if message is None:
            return
        up = _decode(message)
        if up.call != call_id or up.HasField("fragment"):
            raise ProtocolViolation(
                f"fragments of call {call_id} hold a message that is not one of that call"
            )
        self._dispatch(up)

    def _ping(self, nonce: int) -> None:
        """Answers; or does not, which costs less than the connection with all its calls."""
        try:
            self._watch()
            pong = pb.Pong(nonce=nonce, stats=self._servicer.stats())
            self.send(0, pb.Down(pong=pong).SerializeToString())
        except Exception:
            log.exception("a ping of the host %s cannot be answered", self.host)

    def _watch(self) -> None:
        if self._single_call and not self._watching:
            self._watching = True
            log.info("the host %s is connected", self.host)


def _decode(message: bytes) -> pb.Up:
    try:
        return pb.Up.FromString(message)
    except DecodeError:
        raise ProtocolViolation(
            f"{len(message)} bytes that are not a message of protocol {PROTOCOL}"
        ) from None
