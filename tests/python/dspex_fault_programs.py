"""Programs that break what runs them."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

from dspex_worker import session
from dspex_worker.carrier.framed import FramedCarrier
from dspex_worker.proto import worker_pb2 as pb


def echo(value: Any) -> Any:
    return value


async def keep(name: str, value: int) -> int:
    """Writes a variable of the session, and only then answers."""
    await session().variables.acreate(name, "integer", value)
    return value


async def read_variable(name: str) -> Any:
    return (await session().variables.aread(name)).value


async def use_tool(name: str, arguments: dict[str, Any]) -> Any:
    return await session().tools[name].acall(**arguments)


def letters(text: str) -> int:
    return len(text)


def fail(message: str) -> None:
    raise ValueError(message)


def sleep_in_thread(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


async def wait(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "waited"


async def wait_and_answer(seconds: float, value: Any) -> Any:
    await asyncio.sleep(seconds)
    return value


async def large_items(count: int) -> AsyncIterator[str]:
    """Many items of a hundred thousand letters."""
    global _made
    _made = 0
    for _ in range(count):
        _made += 1
        yield "x" * 100_000


_made = 0


def items_made() -> int:
    return _made


def exit_now(code: int) -> None:
    os._exit(code)


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()


def flood_stdout(megabytes: int) -> int:
    """Prints lines without end in sight, at the descriptor, as a C library would."""
    line = b"x" * 1023 + b"\n"
    for _ in range(megabytes * 1024):
        os.write(1, line)
    return megabytes


_leaked: list[bytearray] = []


def leak(megabytes: int) -> int:
    """Memory that is never given back, every page of it written to."""
    _leaked.append(bytearray(os.urandom(1024)) * (megabytes * 1024))
    return megabytes


async def block_the_loop(seconds: float) -> str:
    """What an async program must not do."""
    time.sleep(seconds)  # noqa: ASYNC251
    return "blocked"


async def spin_in_c() -> None:
    """A C function that holds the interpreter's lock, where every signal is ignored that can be."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    re.match(r"(a+)+$", "a" * 60 + "b")


def _carrier() -> FramedCarrier:
    """The connection to the host."""
    (found,) = (thing for thing in gc.get_objects() if isinstance(thing, FramedCarrier))
    return found


async def answer_twice(value: Any) -> Any:
    """Ends its own call by hand, before the worker does."""
    carrier = _carrier()
    connection = carrier._connection
    assert connection is not None
    current = asyncio.current_task()
    (call,) = (call for call in connection._calls.values() if call._task is current)
    done = pb.Down(call=call.call_id, done=pb.Done(output=pb.Payload(json=b'{"value": "by hand"}')))
    carrier.send(call.call_id, done.SerializeToString(), False)
    return value


async def send_garbage(kind: str) -> str:
    """Bytes on the connection to the host that mean nothing, then a wait for the end."""
    garbage = {
        # A frame longer than any may be.
        "length": struct.pack("<I", 0xFFFFFFFF),
        # No message of the protocol.
        "frame": struct.pack("<I", 3) + b"\xff\xff\xff",
        # The beginning of a frame that never ends.
        "noise": bytes(range(256)) * 64,
        # A second Hello, of another protocol.
        "hello": _frame(pb.Down(hello=pb.Hello(protocol=999))),
        # A fragment of a message that is longer than any may be, and never comes.
        "fragment": _frame(pb.Down(call=1, fragment=pb.Fragment(data=b"x", last=True, total=1 << 60))),
    }[kind]
    transport = _carrier()._transport
    assert transport is not None
    transport.write(garbage)
    await asyncio.sleep(600)
    return kind


def _frame(message: pb.Down) -> bytes:
    body = message.SerializeToString()
    return struct.pack("<I", len(body)) + body
