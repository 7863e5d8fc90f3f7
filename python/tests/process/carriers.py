"""A host's side of both carriers, with one face for the tests that run over each of them."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.proto.worker_pb2_grpc import WorkerStub

from zygote_host import PATIENCE_S, WorkerProcess, ZygoteHost

MIB = 1024 * 1024
FRAGMENT = 256 * 1024
# The workers' limit for one message: small enough to go beyond it in a test.
LIMIT = 8 * MIB


class ConnectionEnded(Exception):
    """The worker ended the connection, or the stream."""


class Wire(Protocol):
    """Sends and receives whole messages of one call."""

    async def send(self, up: pb.Up) -> None: ...

    async def receive(self) -> pb.Down: ...


class HostCall:
    """One call as a host makes it."""

    def __init__(self, wire: Wire, call_id: int) -> None:
        self.wire = wire
        self.call_id = call_id
        self._data = b""
        self._items = 0

    async def send(self, **kind: Any) -> None:
        """Sends one Up, in fragments if it is large."""
        up = pb.Up(call=self.call_id, **kind)
        encoded = up.SerializeToString()
        if len(encoded) <= FRAGMENT:
            await self.wire.send(up)
            return
        for start in range(0, len(encoded), FRAGMENT):
            end = start + FRAGMENT
            await self.fragment(encoded[start:end], end >= len(encoded), 0 if start else len(encoded))

    async def fragment(self, data: bytes, last: bool, total: int = 0) -> None:
        await self.wire.send(
            pb.Up(call=self.call_id, fragment=pb.Fragment(data=data, last=last, total=total))
        )

    async def next(self) -> pb.Down:
        """The next Down, whole."""
        while True:
            down = await asyncio.wait_for(self.wire.receive(), PATIENCE_S)
            if not down.HasField("fragment"):
                return down
            assert len(down.fragment.data) <= FRAGMENT
            self._data += down.fragment.data
            if down.fragment.last:
                whole, self._data = pb.Down.FromString(self._data), b""
                return whole

    async def expect(self, kind: str) -> Any:
        down = await self.next()
        assert down.WhichOneof("kind") == kind, f"expected {kind}, got {str(down)[:500]}"
        return getattr(down, kind)

    async def done(self) -> Any:
        return json.loads((await self.expect("done")).output.json)

    async def failed(self) -> pb.Error:
        error: pb.Error = (await self.expect("failed")).error
        return error

    async def answer(self, value: Any) -> pb.Callback:
        """Waits for a callback and answers it."""
        callback: pb.Callback = await self.expect("callback")
        payload = pb.Payload(json=json.dumps(value).encode())
        await self.send(callback_reply=pb.CallbackReply(id=callback.id, ok=payload))
        return callback

    async def item(self, take: bool = True) -> Any:
        """The next item of a tool that streams."""
        event = await self.expect("event")
        assert (event.type, event.seq) == ("item", self._items + 1)
        self._items += 1
        if take:
            await self.take_items()
        return json.loads(event.json)

    async def take_items(self) -> None:
        """Tells the worker that there was room for all items so far."""
        await self.send(items_taken=pb.ItemsTaken(count=self._items))

    async def cancel(self, reason: pb.Cancel.Reason.ValueType = pb.Cancel.REASON_DROPPED) -> None:
        await self.wire.send(pb.Up(call=self.call_id, cancel=pb.Cancel(reason=reason)))


def function(path: str, argument: Any = None, **fields: Any) -> pb.Open:
    inputs = pb.Payload(json=json.dumps(argument).encode())
    return pb.Open(function=pb.FunctionCall(path=path), inputs=inputs, **fields)


class Client(Protocol):
    carrier: str

    async def hello(self) -> pb.Hello: ...

    async def start(self) -> HostCall:
        """A new call for which nothing was sent yet."""
        ...

    async def control(self, **kind: Any) -> pb.Down:
        """Sends a message of the connection and returns the answer."""
        ...

    async def send_garbage(self) -> None: ...

    async def drop(self, call: HostCall) -> None:
        """Goes away in the middle of a call."""
        ...

    async def close(self) -> None: ...


# `await connect("framed", token="..")` forks a worker and connects to it.
Connect = Callable[..., Awaitable[tuple[Client, WorkerProcess, ZygoteHost]]]


async def call(client: Client, path: str, argument: Any = None, **fields: Any) -> HostCall:
    started = await client.start()
    await started.send(open=function(path, argument, **fields))
    return started


class _FramedWire:
    def __init__(self, client: FramedClient) -> None:
        self._client = client
        self.queue: asyncio.Queue[pb.Down | None] = asyncio.Queue()

    async def send(self, up: pb.Up) -> None:
        await self._client.send_frame(up.SerializeToString())

    async def receive(self) -> pb.Down:
        down = await self.queue.get()
        if down is None:
            raise ConnectionEnded
        return down


class FramedClient:
    carrier = "framed"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wires: dict[int, _FramedWire] = {0: _FramedWire(self)}
        self._calls = 0
        # The order in which frames of calls arrived.
        self.arrived: list[tuple[int, str]] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, worker: WorkerProcess) -> FramedClient:
        assert worker.socket is not None
        return cls(*await asyncio.open_unix_connection(sock=worker.socket))

    async def send_frame(self, body: bytes) -> None:
        self._writer.write(struct.pack("<I", len(body)) + body)
        await self._writer.drain()

    async def hello(self) -> pb.Hello:
        down = await asyncio.wait_for(self._wires[0].receive(), PATIENCE_S)
        assert down.call == 0
        return down.hello

    async def start(self) -> HostCall:
        self._calls += 1
        wire = self._wires[self._calls] = _FramedWire(self)
        return HostCall(wire, self._calls)

    async def control(self, **kind: Any) -> pb.Down:
        await self._wires[0].send(pb.Up(**kind))
        return await asyncio.wait_for(self._wires[0].receive(), PATIENCE_S)

    async def send_garbage(self) -> None:
        await self.send_frame(b"\xff\xff\xff\xff")

    async def drop(self, call: HostCall) -> None:
        await self.close()

    async def close(self) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _read(self) -> None:
        try:
            while True:
                (length,) = struct.unpack("<I", await self._reader.readexactly(4))
                down = pb.Down.FromString(await self._reader.readexactly(length))
                self.arrived.append((down.call, down.WhichOneof("kind") or ""))
                self._wires[down.call].queue.put_nowait(down)
        except (asyncio.IncompleteReadError, ConnectionError):
            for wire in self._wires.values():
                wire.queue.put_nowait(None)


class GrpcWire:
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.greeted = False

    async def send(self, up: pb.Up) -> None:
        try:
            await self.stream.write(up)
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            raise ConnectionEnded(await self.stream.code(), await self.stream.details()) from None

    async def receive(self) -> pb.Down:
        if not self.greeted:
            assert (await self._read()).HasField("hello")
            self.greeted = True
        return await self._read()

    async def _read(self) -> pb.Down:
        try:
            down = await self.stream.read()
        except grpc.aio.AioRpcError as exc:
            raise ConnectionEnded(exc.code(), exc.details()) from None
        if down is grpc.aio.EOF:
            raise ConnectionEnded
        assert isinstance(down, pb.Down)
        return down


class GrpcClient:
    carrier = "grpc"

    def __init__(self, channel: grpc.aio.Channel, token: str = "") -> None:
        self._channel = channel
        self._stub = WorkerStub(channel)
        self._calls = 0
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    @classmethod
    async def connect(cls, worker: WorkerProcess, token: str = "") -> GrpcClient:
        channel = grpc.aio.insecure_channel(
            worker.listen, options=[("grpc.initial_reconnect_backoff_ms", 20)]
        )
        await asyncio.wait_for(channel.channel_ready(), PATIENCE_S)
        return cls(channel, token)

    async def hello(self) -> pb.Hello:
        stream: Any = self._call()
        down = await stream.read()
        stream.cancel()
        assert isinstance(down, pb.Down)
        return down.hello

    async def start(self) -> HostCall:
        self._calls += 1
        return HostCall(GrpcWire(self._call()), self._calls)

    def _call(self) -> Any:
        return self._stub.Call(metadata=self.metadata)

    async def control(self, **kind: Any) -> pb.Down:
        wire = GrpcWire(self._call())
        await wire.send(pb.Up(**kind))
        down = await asyncio.wait_for(wire.receive(), PATIENCE_S)
        await wire.stream.done_writing()
        return down

    async def send_garbage(self) -> None:
        raw: Any = self._channel.stream_stream("/dspex.v1.Worker/Call")
        stream: Any = raw(metadata=self.metadata)
        try:
            await stream.write(b"\xff\xff\xff\xff")
            while await stream.read() is not grpc.aio.EOF:
                pass
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            raise ConnectionEnded(await stream.code(), await stream.details()) from None

    async def drop(self, call: HostCall) -> None:
        assert isinstance(call.wire, GrpcWire)
        call.wire.stream.cancel()

    async def close(self) -> None:
        await self._channel.close(None)


async def answers_still(client: Client) -> None:
    """The worker serves the next call: what every failure must leave behind."""
    assert await (await call(client, "echo", "still here")).done() == "still here"
