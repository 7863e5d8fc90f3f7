"""What the figures of tools run within a worker: calls back to the host, by dspex and by gRPC.

Both are awaited one after the other, and timed here, where the program that calls waits.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from dspex_worker import session


async def by_dspex(count: int, payload: dict[str, Any]) -> list[float]:
    """Microseconds of each of so many calls of the session's tool `echo`."""
    tool = session().tools["echo"]
    return await _timed(count, lambda: tool.acall(**payload), payload)


async def by_grpc(count: int, payload: dict[str, Any], socket: str) -> list[float]:
    """Microseconds of each of so many unary calls to a server of the host, over one channel."""
    # Here: whoever forks this process has no use for it.
    import grpc
    from google.protobuf.wrappers_pb2 import BytesValue

    from dspex_worker import codec

    message = BytesValue(value=codec.dumps(payload))
    # Of a socket's path gRPC makes an authority that servers in Rust refuse.
    options = [("grpc.default_authority", "localhost")]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options) as channel:
        echo = channel.unary_unary(
            "/figures.Echo/Echo",
            request_serializer=BytesValue.SerializeToString,
            response_deserializer=BytesValue.FromString,
        )
        return await _timed(count, lambda: echo(message), message)


async def _timed(count: int, call: Callable[[], Awaitable[Any]], expected: Any) -> list[float]:
    times = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        answer = await call()
        times.append((time.perf_counter_ns() - begun) / 1000)
        assert answer == expected, f"the host answered {answer!r}"
    return times


async def call_often(count: int, payload: dict[str, Any]) -> int:
    """The session's tool so often, without keeping anything."""
    tool = session().tools["echo"]
    for _ in range(count):
        await tool.acall(**payload)
    return count
