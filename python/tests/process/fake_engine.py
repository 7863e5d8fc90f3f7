"""Stands in for `dspex_worker.engine` where a test is about the worker's process, not about DSPy.

`Open.function.path` names one of the behaviours below; its inputs are that behaviour's argument.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dspex_worker import figures, limits, tracing
from dspex_worker.config import WorkerConfig
from dspex_worker.host import CallCancelled, Host, HostError
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.threads import Threads


def warm(config: WorkerConfig) -> None:
    if config.settings.get("print"):
        print("printed while warming")
    if config.settings.get("thread"):
        threading.Thread(target=time.sleep, args=(60,), name="left-behind", daemon=True).start()


def hello(config: WorkerConfig) -> dict[str, Any]:
    return {"dspy_version": "0.0-fake", "fingerprints": {"fake.Echo": "ab"}, "capabilities": ["fake"]}


class Engine:
    def __init__(self, config: WorkerConfig) -> None:
        match config.settings.get("setup"):
            case "import":
                raise ImportError("libcuda.so.1: cannot open shared object file")
            case "exit":
                raise SystemExit("no licence")
        self.specs: dict[str, bytes] = {}
        self._threads = Threads(config.sync_threads)
        # What happened to the call before, for the test to ask about.
        self.log: list[str] = []

    def missing(self, open: pb.Open) -> tuple[list[str], list[str], list[str]]:
        spec = open.instance.spec
        return ([spec] if spec and spec not in self.specs else [], [], [])

    def learn(self, state: pb.State) -> None:
        for spec in state.specs:
            if not spec.json:
                raise ValueError("an empty spec")
            self.specs[spec.hash] = spec.json

    async def run(self, open: pb.Open, host: Host) -> pb.Payload:
        if open.HasField("instance"):
            return pb.Payload(json=self.specs[open.instance.spec])
        inputs = open.inputs.json
        if open.function.path == "echo":
            return pb.Payload(json=inputs)
        argument = json.loads(inputs) if inputs else None
        behaviour: Callable[[Any, Host], Awaitable[Any]] = getattr(self, f"do_{open.function.path}")
        result = await behaviour(argument, host)
        if isinstance(result, pb.Payload):
            return result
        return pb.Payload(json=json.dumps(result).encode())

    def failed(self, error: BaseException) -> pb.Error:
        if isinstance(error, HostError):
            return pb.Error(kind=error.error.kind, message=f"host: {error.error.message}")
        if "indescribable" in str(error):
            raise RuntimeError("failed() itself fails")
        described = pb.Error(kind=pb.Error.KIND_PYTHON, message=str(error))
        setattr(described, "class", type(error).__qualname__)
        return described

    def figures(self) -> tuple[int, int]:
        return 0, len(self.specs)

    async def do_block_the_loop(self, argument: Any, host: Host) -> Any:
        time.sleep(argument)  # noqa: ASYNC251

    async def do_leave_no_room_for_threads(self, argument: Any, host: Host) -> Any:
        """From now on every thread fails to start, and figures are wanted at once."""
        figures._PSS_EVERY_S = figures._PSS_SHARE = 0  # type: ignore[assignment]
        room = limits._data_bytes() + 8 * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (room, room))
        threading.stack_size(64 * 1024 * 1024)
        try:
            threading.Thread(target=int).start()
        except (RuntimeError, MemoryError) as error:
            return str(error)

    async def do_dumpable(self, argument: Any, host: Host) -> Any:
        """Whether others of the same user may look into this process."""
        control = limits.prctl()
        return None if control is None else control(3, 0, 0, 0, 0)

    async def do_in_transit(self, argument: Any, host: Any) -> Any:
        """What the connection holds of messages that are not complete."""
        reassembly = host._connection._reassembly
        return {
            "messages": len(reassembly._partial),
            "bytes": reassembly._reserved,
            "refused": len(reassembly._refused),
        }

    async def do_break_the_figures(self, argument: Any, host: Host) -> Any:
        def figures() -> tuple[int, int]:
            raise ValueError("no figures today")

        self.figures = figures  # type: ignore[method-assign]

    async def do_log(self, argument: Any, host: Host) -> Any:
        return self.log

    async def do_raise(self, argument: Any, host: Host) -> Any:
        raise {"value": ValueError, "exit": SystemExit}[argument[0]](argument[1])

    async def do_size(self, argument: Any, host: Host) -> Any:
        return len(argument)

    async def do_attachment(self, argument: Any, host: Host) -> Any:
        data = bytes(argument)
        attached = pb.Attachment(name="a", dtype="bytes", shape=[len(data)], data=data)
        return pb.Payload(json=b'"a"', attachments=[attached])

    async def do_callback(self, argument: Any, host: Host) -> Any:
        return [
            json.loads(await host.callback(pb.Callback.KIND_TOOL, name, json.dumps(name).encode()))
            for name in argument
        ]

    async def do_callbacks_at_once(self, argument: Any, host: Host) -> Any:
        asked = (host.callback(pb.Callback.KIND_TOOL, name, b"null") for name in argument)
        return [json.loads(answer) for answer in await asyncio.gather(*asked)]

    async def do_callback_of_size(self, argument: Any, host: Host) -> Any:
        answer = await host.callback(pb.Callback.KIND_TOOL, "large", bytes(argument))
        return len(answer)

    async def do_exchange(self, argument: Any, host: Host) -> Any:
        """Sends so many bytes beside a document, and says what comes back."""

        def asked() -> pb.Payload:
            data = bytes(range(256)) * (argument // 256)
            return pb.Payload(json=b'{"op": "x"}', attachments=[pb.Attachment(name="a", data=data)])

        answers = [
            await host.exchange(pb.Callback.KIND_VARIABLE, "v", asked()),
            await self._threads.run(
                lambda: host.exchange_blocking(pb.Callback.KIND_VARIABLE, "v", asked()), host, 0
            ),
        ]
        return [[json.loads(answer.json), answer.attachments == asked().attachments] for answer in answers]

    async def do_callback_blocking(self, argument: Any, host: Host) -> Any:
        def module() -> Any:
            try:
                return [
                    json.loads(host.callback_blocking(pb.Callback.KIND_TOOL, name, b"null"))
                    for name in argument
                ]
            except CallCancelled:
                self.log.append("the thread was told")
                raise

        return await self._threads.run(module, host, 0)

    async def do_callback_from_another_loop(self, argument: Any, host: Host) -> Any:
        async def inner() -> bytes:
            return await host.callback(pb.Callback.KIND_TOOL, argument, b"null")

        return json.loads(await self._threads.run(lambda: asyncio.run(inner()), host, 0))

    async def do_callback_blocking_on_the_loop(self, argument: Any, host: Host) -> Any:
        return host.callback_blocking(pb.Callback.KIND_TOOL, "never", b"null").decode()

    async def do_trace(self, argument: Any, host: Host) -> Any:
        """The trace that code on the loop and on a thread sees."""

        def here() -> Any:
            seen = tracing.trace()
            return None if seen is None else [seen.traceparent, seen.tracestate]

        return [here(), await self._threads.run(here, host, 0)]

    async def do_ask_below(self, argument: Any, host: Host) -> Any:
        """Asks the host on the loop and on a thread, below spans of Python's own."""
        await host.callback(pb.Callback.KIND_TOOL, "host's own span", b"null")
        with tracing.continue_trace(argument, "a=1"):
            await host.callback(pb.Callback.KIND_TOOL, "named", b"null")
            await self._threads.run(
                lambda: host.callback_blocking(pb.Callback.KIND_TOOL, "thread", b"null"), host, 0
            )

    async def do_ask_below_a_span_of_opentelemetry(self, argument: Any, host: Host) -> Any:
        from opentelemetry.sdk.trace import TracerProvider

        with TracerProvider().get_tracer("program").start_as_current_span("work") as span:
            await host.callback(pb.Callback.KIND_TOOL, "below", b"null")
            known = span.get_span_context()
            assert span.parent is not None
            return [f"{known.trace_id:032x}", f"{known.span_id:016x}", f"{span.parent.span_id:016x}"]

    async def do_log_something(self, argument: Any, host: Host) -> Any:
        logging.getLogger("program").warning("%s", argument)
        await self._threads.run(
            lambda: logging.getLogger("program").warning("%s on a thread", argument), host, 0
        )

    async def do_events(self, argument: Any, host: Host) -> Any:
        for number in range(argument):
            host.event("token", {"n": number})
        return argument

    async def do_events_from_threads(self, argument: Any, host: Host) -> Any:
        def module() -> None:
            for number in range(argument):
                host.event("token", number)
            host.callback_blocking(pb.Callback.KIND_TOOL, "after", b"null")
            host.event("token", "last")

        await self._threads.run(module, host, 0)

    async def do_large_event_then_small(self, argument: Any, host: Host) -> Any:
        for body in ("x" * argument, "small", "y" * argument):
            host.event("log", body)

    async def do_flood(self, argument: Any, host: Host) -> Any:
        for _ in range(argument):
            host.event("log", "x" * 1_000_000)
        await host.callback(pb.Callback.KIND_TOOL, "read everything?", b"null")
        host.event("log", "the last")

    async def do_strange_event(self, argument: Any, host: Host) -> Any:
        host.event("log", {"value": float("nan")})
        host.event("log", "\ud800")
        host.event("log", {1, 2})
        host.event("log", b'"ready"')

    async def do_sleep(self, argument: Any, host: Host) -> Any:
        try:
            await asyncio.sleep(argument)
        except asyncio.CancelledError:
            self.log.append("the task was cancelled")
            raise

    async def do_finish_in_spite_of_cancel(self, argument: Any, host: Host) -> Any:
        host.event("log", "started")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "finished"

    async def do_fail_on_cancel(self, argument: Any, host: Host) -> Any:
        host.event("log", "started")
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("while tidying up")

    async def do_spin(self, argument: Any, host: Host) -> Any:
        """A synchronous module that looks at the cancellation and takes its time to end."""

        def module() -> None:
            host.event("log", "started")
            try:
                while True:
                    host.check_cancelled()
                    time.sleep(0.001)
            except CallCancelled:
                time.sleep(0.05)
                self.log.append("the thread ended")
                raise

        await self._threads.run(module, host, 0)

    async def do_linger(self, argument: Any, host: Host) -> Any:
        """A synchronous module that does not look at anything."""

        def module() -> None:
            host.event("log", "started")
            time.sleep(argument)

        await self._threads.run(module, host, 0)

    async def do_linger_until(self, argument: Any, host: Host) -> Any:
        """The same, until there is a file of this name."""

        def module() -> None:
            host.event("log", "started")
            while not os.path.exists(argument):
                time.sleep(0.001)

        await self._threads.run(module, host, 0)

    async def do_print(self, argument: Any, host: Host) -> Any:
        print(argument)
        os.write(1, b"written to descriptor 1\n")
        return [sys.stdin.read(), os.getsid(0) == os.getpid()]

    async def do_stuck(self, argument: Any, host: Host) -> Any:
        """Holds the interpreter's lock in a C function for years."""
        host.event("log", "started")
        await asyncio.sleep(0.05)
        re.match(r"(a+)+$", "a" * 60 + "b")

    async def do_die(self, argument: Any, host: Host) -> Any:
        if argument == "exit":
            os._exit(7)
        os.kill(os.getpid(), signal.Signals[argument])
        await asyncio.sleep(60)

    async def do_leave_a_program(self, argument: Any, host: Host) -> Any:
        """Starts a program that outlives the worker; its process, with the arguments of the start."""
        program = [sys.executable, "-I", "-c", "import time; time.sleep(60)"]
        return subprocess.Popen(program, **argument).pid  # noqa: ASYNC220

    async def do_random(self, argument: Any, host: Host) -> Any:
        import random

        return random.random()

    async def do_fds(self, argument: Any, host: Host) -> Any:
        return {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _open(fd)}


def _open(fd: str) -> bool:
    try:
        os.fstat(int(fd))
    except OSError:
        return False
    return True
