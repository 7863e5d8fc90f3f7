"""The host's control socket of a zygote: one JSON object a line, descriptors beside it by SCM_RIGHTS."""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

from dspex_worker.fragments import ProtocolViolation

_MAX_LINE = 1024 * 1024
_MAX_FDS = 16


class Control:
    """Reads and writes the messages of one unix stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        # A message's descriptors arrive with its first byte at the latest, and in the order of the messages.
        self._fds: deque[int] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> Iterator[dict[str, Any]] | None:
        """Waits for bytes and returns the messages that they complete; None at the end of the stream.

        Each message has to `take_fds` before the next one is asked for.
        """
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, fds, _, _ = socket.recv_fds(self._socket, 65536, _MAX_FDS, flags)
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds.extend(fds)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > _MAX_LINE:
            raise ProtocolViolation(f"a control message of more than {_MAX_LINE} bytes")
        return map(_message, filter(None, lines))

    def take_fds(self, *names: str) -> list[int]:
        """The descriptors of the current message, which are called `names`."""
        if len(self._fds) < len(names):
            raise ProtocolViolation(f"a control message needs the descriptors {', '.join(names)}")
        return [self._fds.popleft() for _ in names]

    def write(self, op: str, **fields: Any) -> None:
        """Sends one message."""
        line = json.dumps({"op": op, **fields}, separators=(",", ":")).encode() + b"\n"
        self._socket.sendall(line)

    def close(self) -> None:
        self._socket.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        raise ProtocolViolation(f"a control message that is not JSON: {line[:80]!r}") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise ProtocolViolation("a control message without an op")
    return message
