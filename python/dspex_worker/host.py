"""The host as one call sees it: where callbacks and events go, and where cancellation comes from."""

from __future__ import annotations

from typing import Protocol

from dspex_worker.proto import worker_pb2 as pb


class CallCancelled(BaseException):
    """The call was cancelled, by the host or by its deadline.

    Not an `Exception`: DSPy and its users catch those, and a cancelled module has to stop.
    """


class HostError(Exception):
    """The host answered a callback with an error."""

    def __init__(self, error: pb.Error) -> None:
        super().__init__(error.message)
        self.error = error


class Host(Protocol):
    """One per call. Callbacks and events travel on the call's own stream."""

    call_id: int

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        """Asks the host for something (`pb.Callback.Kind`) and returns the JSON of its answer.

        Raises `HostError` where the host answers with an error, and `asyncio.CancelledError` (from a loop
        of another thread: `CallCancelled`) where the call is cancelled meanwhile.
        """
        ...

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        """The same from a thread that may wait; never from the worker's event loop.

        Raises `CallCancelled` at once when the call is cancelled, also while it waits.
        """
        ...

    async def exchange(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        """As `callback`, where question or answer have attachments."""
        ...

    def exchange_blocking(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        """As `callback_blocking`, where question or answer have attachments."""
        ...

    def event(self, type: str, body: object) -> None:
        """Sends an ordered event, from any thread. `body` is JSON-able, or `bytes` that are JSON already."""
        ...

    async def item(self, body: bytes) -> None:
        """Sends an event "item". Waits while the host has not taken the ones before; none is lost.

        Raises `HostError` for one that is too large, `asyncio.CancelledError` where the call is cancelled.
        """
        ...

    def item_blocking(self, body: bytes) -> None:
        """The same from a thread that may wait; raises `CallCancelled` in the place of the latter."""
        ...

    def check_cancelled(self) -> None:
        """Raises `CallCancelled` if the call was cancelled."""
        ...
