"""What a callback of a tool costs in Python besides the host.

    python tools/bench_tools.py [--count 20000]

The first figures are of the tool alone, with a host that answers at once: arguments to JSON, the answer from
JSON, and DSPy's settings. Beside them the same arguments in DSPy's own `Tool`, which checks them by making a
model of pydantic for each. The last ones are of a worker and a peer in Python that answers at once: the round
trip of a callback on the framed carrier, from the event loop and from a thread, and the items of generators.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PYTHON), str(PYTHON / "tests" / "process")]

import dspy  # noqa: E402

from dspex_worker.config import WorkerConfig  # noqa: E402
from dspex_worker.engine import Engine, _Context  # noqa: E402
from dspex_worker.host_tools import host_tool  # noqa: E402
from dspex_worker.proto import worker_pb2 as pb  # noqa: E402

from zygote_host import REAL, ZygoteHost  # noqa: E402

ARGS = {
    "email": {"type": "string", "description": "The customer's address."},
    "years": {"type": "integer", "default": 1},
    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
}
GIVEN = {"email": "sara@acme.io", "years": 3, "tags": ["a", "b"]}
ANSWER = json.dumps({"plan": "gold", "invoices": [{"id": i, "total": 9.5} for i in range(5)]}).encode()


class AtOnce:
    """A host without a way to it."""

    call_id = 1

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        return ANSWER

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        return ANSWER

    def check_cancelled(self) -> None:
        pass


def dspys_own() -> dspy.Tool:
    def plan(email: str, years: int = 1, tags: list[str] | None = None) -> Any:
        return json.loads(ANSWER)

    return dspy.Tool(plan)


def alone(count: int) -> None:
    engine = Engine(WorkerConfig(modules=("dspex_worker.testing",)))
    tool = host_tool("key", "plan", "Plan of a customer.", ARGS)

    async def awaited() -> None:
        with _Context(engine._call(pb.Open(), AtOnce())):  # type: ignore[arg-type]
            for _ in range(count):
                await tool.acall(**GIVEN)

    async def on_thread() -> None:
        call = engine._call(pb.Open(), AtOnce())  # type: ignore[arg-type]
        with _Context(call):
            await call.in_thread(lambda: [tool(**GIVEN) for _ in range(count)])

    def own() -> None:
        theirs = dspys_own()
        for _ in range(count):
            theirs(**GIVEN)

    for name, run in (("awaited", awaited), ("on a thread", on_thread)):
        report(f"a tool, {name}", count, lambda run=run: asyncio.run(run()))  # type: ignore[misc]
    count = max(count // 20, 1)
    report("dspy.Tool with a function of Python", count, own)


def report(name: str, count: int, run: Callable[[], Any]) -> None:
    best = min(_seconds(run) for _ in range(3))
    print(f"{name:40} {best / count * 1e6:8.1f} us a call")


def _seconds(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def through_a_worker(count: int) -> None:
    host = ZygoteHost({"modules": ["dspex_worker.testing"]}, script=REAL)
    host.ready()
    worker = host.fork("bench")
    sock = worker.socket
    assert sock is not None
    tools = json.dumps([{"host": "key", "name": "plan", "desc": "Plan.", "args": ARGS}]).encode()
    digest = hashlib.sha256(tools).hexdigest()
    buffer = b""

    def receive() -> pb.Down:
        nonlocal buffer
        while len(buffer) < 4 or len(buffer) < 4 + struct.unpack_from("<I", buffer)[0]:
            buffer += sock.recv(1 << 16)
        size = struct.unpack_from("<I", buffer)[0]
        body, buffer = buffer[4 : 4 + size], buffer[4 + size :]
        return pb.Down.FromString(body)

    def send(up: pb.Up) -> None:
        body = up.SerializeToString()
        sock.sendall(struct.pack("<I", len(body)) + body)

    receive()  # Hello
    send(pb.Up(call=0, state=pb.State(tools=[pb.ToolSet(hash=digest, json=tools)])))
    for call, path in enumerate(("repeat_tool_async", "repeat_tool"), 1):
        inputs = json.dumps({"kwargs": {"count": count, "arguments": GIVEN}}).encode()
        function = pb.FunctionCall(path=f"dspex_worker.testing.{path}")
        session = pb.SessionView(id="s", tools=digest)
        send(
            pb.Up(call=call, open=pb.Open(function=function, inputs=pb.Payload(json=inputs), session=session))
        )
        times = []
        while (down := receive()).HasField("callback"):
            reply = pb.CallbackReply(id=down.callback.id, ok=pb.Payload(json=ANSWER))
            send(pb.Up(call=call, callback_reply=reply))
        assert down.HasField("done"), down
        times = json.loads(down.done.output.json)["value"]
        half, most = statistics.median(times), statistics.quantiles(times, n=100)[98]
        print(f"round trip, {path:28} {half * 1e6:8.1f} us p50 {most * 1e6:8.1f} us p99")
    for call, path in enumerate(("clock_async", "clock"), 3):
        tool = pb.ToolCall(path=f"dspex_worker.testing.{path}")
        begun, taken, told = time.perf_counter(), 0, 0
        inputs = json.dumps({"count": count}).encode()
        send(pb.Up(call=call, open=pb.Open(tool=tool, inputs=pb.Payload(json=inputs))))
        while (down := receive()).HasField("event"):
            taken += 1
            # As the host does.
            if not buffer or taken - told == 16:
                told = taken
                send(pb.Up(call=call, items_taken=pb.ItemsTaken(count=taken)))
        assert down.HasField("done"), down
        print(f"items of {path:31} {count / (time.perf_counter() - begun):8.0f} a second")
    worker.release()
    host.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    alone(given.count)
    through_a_worker(given.count)
