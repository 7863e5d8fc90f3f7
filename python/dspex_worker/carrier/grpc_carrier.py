"""gRPC: one bidirectional stream per call, beside the standard health service.

Messages are handled as bytes on both sides, so that the same limits, fragments and errors apply as on
frames: an oversized message would leave a gRPC stream hanging, so none is ever sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from dspex_worker.call import error
from dspex_worker.carrier.admission import Admission, Gate, token_of
from dspex_worker.carrier.binding import is_served, problem_of
from dspex_worker.carrier.tls import ServerTls
from dspex_worker.fragments import Outgoing, ProtocolViolation
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.servicer import Connection, Servicer

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Worker"].full_name

# Well above the largest fragment: a peer that does not split its messages gets a clean status.
_MESSAGE_BYTES = 1024 * 1024
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    # Hosts may ping an idle connection; the default answers a few of those with GOAWAY.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    # Two workers on one port would share its calls at random.
    ("grpc.so_reuseport", 0),
    # A compressed message could be far larger than it looks: identity alone, which is the first bit.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # All that hosts say of themselves fits; more is refused before it is kept.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
)


class BindError(Exception):
    """The address cannot be listened on."""


class _Stream:
    """The sending side of one stream (`servicer.Link`)."""

    def __init__(self) -> None:
        self._queue: deque[Outgoing] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        # Nothing comes after what is queued.
        self._closed = False
        self.violation: ProtocolViolation | None = None

    def send(self, call: int, message: bytes, last: bool) -> None:
        self._queue.append(Outgoing(call, message))
        self._bytes += len(message)
        self._closed = self._closed or last
        self._wake.set()

    def asked(self) -> None:
        pass  # gRPC waits in its own way

    def backlog(self) -> int:
        return self._bytes

    def close(self, violation: ProtocolViolation | None = None) -> None:
        self.violation = violation
        self._closed = True
        self._wake.set()

    async def next(self) -> bytes | None:
        """The next encoded `Down`; None: the stream is at its end."""
        while not self._queue:
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        if self.violation is not None:
            return None
        head = self._queue[0]
        left = head.left
        piece = head.take()
        self._bytes -= left - head.left
        if not head.left:
            self._queue.popleft()
        return piece


class GrpcCarrier:
    """A server for the streams of any number of hosts."""

    def __init__(
        self, servicer: Servicer, admission: Admission | None = None, tls: ServerTls | None = None
    ) -> None:
        """Serves the hosts of `admission`; without it the one that knows the worker's token, if there is."""
        if admission is None:
            token = servicer.config.token
            admission = Admission({"host": token} if token else {})
        self._servicer = servicer
        self._tls = tls
        self._server = grpc.aio.server(options=_OPTIONS, interceptors=(Gate(admission),))
        self._admission = admission
        self._streams: set[_Stream] = set()
        self._health: Any = health_aio.HealthServicer()
        handler: Any = grpc.stream_stream_rpc_method_handler(self._call)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Call": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, address: str) -> str:
        """Listens on `unix:/path` or `HOST:PORT`; returns the bound address, its port chosen if it was 0."""
        path = address.removeprefix("unix:") if address.startswith("unix:") else None
        if path is not None and is_served(path):
            raise BindError(f"cannot listen on {address}: {problem_of(address)}")
        # A socket in the file system is for its owner alone.
        mask = os.umask(0o177) if path is not None else None
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._tls.credentials())
        except RuntimeError:
            raise BindError(f"cannot listen on {address}: {problem_of(address)}") from None
        finally:
            if mask is not None:
                os.umask(mask)
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        if path is not None:
            return address
        host = address.rpartition(":")[0]
        return f"{host}:{port}"

    async def drain_announced(self) -> None:
        """Tells health checks that no new calls are taken."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Ends the server; streams get `grace` seconds to take what was sent."""
        for stream in self._streams:
            stream.close()  # those that only ask how the worker is would go on
        await self._server.stop(grace)

    async def _call(self, _requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        stream = _Stream()
        host = self._host_of(context)
        connection = self._servicer.connect(stream, single_call=True, host=host)
        self._streams.add(stream)
        reader = self._servicer.loop.create_task(_read(context, connection, stream))
        try:
            while (piece := await stream.next()) is not None:
                await context.write(piece)
        finally:
            # Also where the host cancelled the stream, or went away.
            reader.cancel()
            connection.lost()
            self._streams.discard(stream)
        if stream.violation is not None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(stream.violation))

    def _host_of(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
        """What the log calls the host: the name of its token, or where it is."""
        token = token_of(context.invocation_metadata())
        name = self._admission.host_of(token) if token is not None else None
        return name or context.peer()


async def _read(
    context: grpc.aio.ServicerContext[bytes, bytes], connection: Connection, stream: _Stream
) -> None:
    try:
        while True:
            message: Any = await context.read()
            if message is grpc.aio.EOF:
                break
            connection.receive(message)
    except ProtocolViolation as exc:
        log.error("the host %s broke the protocol: %s; ending the stream", connection.host, exc)
        stream.close(exc)
        return
    except grpc.aio.UsageError:
        return  # the stream is over
    except Exception:
        log.exception("a stream cannot be read")
        stream.close(ProtocolViolation("the worker cannot go on with this stream; see its log"))
        return
    if connection.idle:
        stream.close()
    else:
        # Nobody could answer its callbacks, nor cancel it.
        text = (
            "the host closed its side of the stream before the call ended: keep it open until Done or Failed"
        )
        connection.abort_calls(error(pb.Error.KIND_CANCELLED, text))
