"""Length-prefixed frames over one unix socket, all calls multiplexed.

Written for throughput: every frame of a read is dispatched at once, and everything that is sent within one
turn of the loop goes out in one write. Messages of more than a fragment's size go out piece by piece, one
call after the other, whenever the socket takes more; small messages never wait for them.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import deque
from typing import cast

from dspex_worker.fragments import FRAGMENT_BYTES, MAX_FRAME_BYTES, Outgoing, ProtocolViolation
from dspex_worker.servicer import Connection, Servicer

log = logging.getLogger(__name__)

# What may wait in the socket's buffer before large messages pause: small messages go behind it.
_HIGH_WATER = 2 * FRAGMENT_BYTES

_length = struct.Struct("<I")

# Waking a sleeping core takes longer than a small call: after a call's end, and after a question to the host
# that is answered soon as a rule, the loop goes on looking for the next message for so long, while that finds
# any.
_SPIN_S = 100e-6
# So many looks in vain in a row end them; one of so many occasions tries again all the same.
_SPIN_PATIENCE = 4
_SPIN_PROBE_EVERY = 64


class _Looks:
    """Whether looking for the next message on one kind of occasion has paid lately."""

    def __init__(self) -> None:
        self.misses = 0
        self._skipped = 0

    def pay(self) -> bool:
        if self.misses < _SPIN_PATIENCE:
            return True
        self._skipped = (self._skipped + 1) % _SPIN_PROBE_EVERY
        return not self._skipped


class FramedCarrier(asyncio.Protocol):
    """One connection to the host; `closed` is done when it ended, with what ended it."""

    def __init__(self, servicer: Servicer) -> None:
        self._servicer = servicer
        self._loop = servicer.loop
        self.closed: asyncio.Future[ProtocolViolation | None] = self._loop.create_future()
        self._violation: ProtocolViolation | None = None
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None
        # An incomplete frame, and how long it has to be before it is looked at again.
        self._received = bytearray()
        self._needed = 0
        # Frames to write at the end of this turn: lengths and bodies alternate.
        self._batch: list[bytes] = []
        self._flush_scheduled = False
        # Of each call with a large message: what is still to send of it, in order.
        self._large: dict[int, deque[Outgoing]] = {}
        self._large_bytes = 0
        self._paused = False
        self._closing = False
        # Until when the loop looks for the next message instead of sleeping; 0: it does not.
        self._spin_until = 0.0
        self._after_end = _Looks()
        self._after_question = _Looks()
        self._looks = self._after_end

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._connection = self._servicer.connect(self, single_call=False)

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if connection is None or self._violation is not None:
            return
        if self._spin_until:
            self._spin_until = 0.0
            self._looks.misses = 0
        received = self._received
        if received:
            received += data
            if len(received) < self._needed:
                return
            data = bytes(received)
            received.clear()
        position, end = 0, len(data)
        try:
            while end - position >= 4:
                (length,) = _length.unpack_from(data, position)
                if length > MAX_FRAME_BYTES:
                    raise ProtocolViolation(
                        f"a frame of {length} bytes; the longest allowed has {MAX_FRAME_BYTES}"
                    )
                body = position + 4
                if end - body < length:
                    self._needed = 4 + length
                    break
                position = body + length
                connection.receive(data[body:position])
            else:
                self._needed = 4
        except ProtocolViolation as exc:
            self._break(exc)
            return
        if position < end:
            received += data[position:] if position else data

    def eof_received(self) -> bool:
        return False  # closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connection.lost()
            self._connection = None
        if not self.closed.done():
            self.closed.set_result(self._violation)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._schedule_flush()

    # servicer.Link

    def send(self, call: int, message: bytes, last: bool) -> None:
        large = self._large
        if large:
            waiting = large.get(call)
            if waiting is not None:
                self._queue_large(waiting, call, message)
                return
        length = len(message)
        if length > FRAGMENT_BYTES:
            waiting = large[call] = deque()
            self._queue_large(waiting, call, message)
        else:
            # Both or, out of memory, neither: a length without its message would be the end of the stream.
            self._batch += (_length.pack(length), message)
        if not self._flush_scheduled:
            self._schedule_flush()
        if last and not self._spin_until:
            self._begin_spin(self._after_end)

    def asked(self) -> None:
        if not self._spin_until:
            self._begin_spin(self._after_question)

    def backlog(self) -> int:
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return buffered + self._large_bytes

    def close(self) -> None:
        """Ends the connection after everything that was sent."""
        self._closing = True
        self._flush()

    # Waiting

    def _begin_spin(self, looks: _Looks) -> None:
        if not looks.pay():
            return
        self._looks = looks
        self._spin_until = time.perf_counter() + _SPIN_S
        self._loop.call_soon(self._spin)

    def _spin(self) -> None:
        """Keeps the loop from sleeping: with something to do it only asks for what is there."""
        if not self._spin_until:
            return
        if time.perf_counter() < self._spin_until:
            self._loop.call_soon(self._spin)
        else:
            self._spin_until = 0.0
            self._looks.misses += 1

    # Sending

    def _queue_large(self, waiting: deque[Outgoing], call: int, message: bytes) -> None:
        self._large_bytes += len(message)
        waiting.append(Outgoing(call, message))

    def _schedule_flush(self) -> None:
        self._loop.call_soon(self._flush)
        self._flush_scheduled = True

    def _flush(self) -> None:
        self._flush_scheduled = False
        transport = self._transport
        if transport is None or transport.is_closing():
            self._batch.clear()
            self._large.clear()
            return
        if self._batch:
            transport.write(b"".join(self._batch))
            self._batch.clear()
        # The socket's buffer takes at most a few pieces: `pause_writing` is called from within `write`.
        while self._large and not self._paused:
            piece = self._next_piece()
            transport.writelines((_length.pack(len(piece)), piece))
        if self._closing and not self._large:
            transport.close()

    def _next_piece(self) -> bytes:
        """The next frame of the call whose turn it is; the call then goes to the end of the row."""
        call = next(iter(self._large))
        waiting = self._large.pop(call)
        head = waiting[0]
        left = head.left
        piece = head.take()
        self._large_bytes -= left - head.left
        if not head.left:
            waiting.popleft()
        if waiting:
            self._large[call] = waiting
        return piece

    def _break(self, violation: ProtocolViolation) -> None:
        log.error("the host broke the protocol: %s; closing the connection", violation)
        self._violation = violation
        if self._transport is not None:
            self._transport.abort()
