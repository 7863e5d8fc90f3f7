"""Large messages travel in pieces, so that they never delay the small messages of other calls."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from dspex_worker.proto import worker_pb2 as pb

# The largest message that travels whole, and the largest piece of one that does not.
FRAGMENT_BYTES = 256 * 1024
# The largest encoded `Up` or `Down` on a carrier: a piece and what surrounds it.
MAX_FRAME_BYTES = FRAGMENT_BYTES + 1024

# Of so many calls the rest of a refused message is told from a new message: those heard of last. A peer that
# was told of a refusal sends none at all as a rule, and has few large messages on their way at once.
_REMEMBERED_REFUSALS = 1024


class ProtocolViolation(Exception):
    """The peer sent what the protocol forbids; the connection cannot go on."""


class TooLarge(Exception):
    """A message that is larger than the receiver takes. It was not buffered."""

    def __init__(self, total: int, limit: int, what: str) -> None:
        super().__init__(f"a message of {total} bytes is over {what} of {limit} bytes")
        self.total = total
        self.limit = limit


class Outgoing:
    """One encoded `Down` on its way out: whole, or in pieces that are made as they are taken."""

    __slots__ = ("_call", "_message", "_position")

    def __init__(self, call: int, message: bytes) -> None:
        self._call = call
        self._message = message
        self._position = 0

    @property
    def left(self) -> int:
        """The bytes still to take; 0: done."""
        return len(self._message) - self._position

    def take(self) -> bytes:
        """The next encoded `Down`."""
        message, start = self._message, self._position
        total = len(message)
        if total <= FRAGMENT_BYTES:
            self._position = total
            return message
        end = self._position = min(start + FRAGMENT_BYTES, total)
        fragment = pb.Fragment(data=message[start:end], last=end == total, total=total if start == 0 else 0)
        return pb.Down(call=self._call, fragment=fragment).SerializeToString()


@dataclass(slots=True)
class _Partial:
    total: int
    received: int = 0
    parts: list[bytes] = field(default_factory=list)


class Reassembly:
    """Joins the fragments that one connection receives; at most one message at a time per call."""

    def __init__(self, message_limit: int, connection_limit: int) -> None:
        self._message_limit = message_limit
        self._connection_limit = connection_limit
        self._partial: dict[int, _Partial] = {}
        # Calls with a message whose rest is thrown away as it comes, if it comes: it may never.
        self._refused: OrderedDict[int, None] = OrderedDict()
        self._reserved = 0

    def feed(self, call: int, fragment: pb.Fragment) -> bytes | None:
        """Takes the next fragment of a call; returns the encoded message that it completes.

        Raises `TooLarge` at the first fragment of a message that is not going to be taken.
        """
        data = fragment.data
        partial = self._partial.get(call)
        if partial is None:
            if call in self._refused and not fragment.total:
                if fragment.last:
                    del self._refused[call]
                else:
                    self._refused.move_to_end(call)
                return None
            partial = self._begin(call, fragment)
        partial.received += len(data)
        if partial.received > partial.total:
            raise ProtocolViolation(
                f"fragments of call {call} hold more than the announced {partial.total} bytes"
            )
        if not data and not fragment.last:
            raise ProtocolViolation(f"an empty fragment within the message of call {call}")
        partial.parts.append(data)
        if not fragment.last:
            return None
        if partial.received != partial.total:
            found = f"{partial.received} bytes instead of the announced {partial.total}"
            raise ProtocolViolation(f"fragments of call {call} hold {found}")
        del self._partial[call]
        self._reserved -= partial.total
        return b"".join(partial.parts)

    def refuse(self, call: int) -> bool:
        """Forgets what was received of a call's message and ignores its rest. False: there was none."""
        partial = self._partial.pop(call, None)
        if partial is None:
            return False
        self._reserved -= partial.total
        self._ignore_rest(call)
        return True

    def _ignore_rest(self, call: int) -> None:
        self._refused[call] = None
        self._refused.move_to_end(call)
        if len(self._refused) > _REMEMBERED_REFUSALS:
            self._refused.popitem(last=False)

    def _begin(self, call: int, fragment: pb.Fragment) -> _Partial:
        total = fragment.total
        if total == 0:
            raise ProtocolViolation(f"the first fragment of call {call} does not announce a total")
        self._refused.pop(call, None)
        free = self._connection_limit - self._reserved
        if total > self._message_limit or total > free:
            if not fragment.last:
                self._ignore_rest(call)
            if total > self._message_limit:
                raise TooLarge(total, self._message_limit, "the worker's limit for one message")
            raise TooLarge(total, free, "what the connection has left for messages in transit")
        partial = self._partial[call] = _Partial(total)
        self._reserved += total
        return partial
