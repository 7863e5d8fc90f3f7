"""Processes that workers started, such as the servers and shells of tools: they end with their worker.

Those of the worker's process group are killed with it. One that made a session of its own left the group; it
is told by a mark in its environment, and becomes a child of the zygote when its parents are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path

_MARK = "DSPEX_WORKER"
_PR_SET_CHILD_SUBREAPER = 36


def adopt(prctl: Callable[..., int] | None) -> None:
    """In the zygote: what its workers leave becomes its child, and not that of the system's first process."""
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def new_mark() -> str:
    return os.urandom(8).hex()


def bear(mark: str) -> None:
    """In a worker: whatever it starts has its mark."""
    os.environ[_MARK] = mark


def kill_group(leader: int) -> None:
    """Ends the process group of a worker that ended and is not reaped: the number is still its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_orphans(workers: Collection[int], marks: Collection[str]) -> bool:
    """Ends the children of this process that bear the mark of no living worker.

    True: look again; one was only just killed, or its mark cannot be told since it is just being started.
    """
    again = False
    for pid in _children():
        if pid in workers:
            continue
        environment = _environment(pid)
        if not environment:
            again = True
            continue
        mark = _mark_in(environment)
        if mark is not None and mark not in marks:
            # A child's number is not another's before this process reaps it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            again = True
    return again


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _environment(pid: int) -> bytes:
    """Empty in the midst of `exec`, and of a process that ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _mark_in(environment: bytes) -> str | None:
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == _MARK.encode():
            return value.decode(errors="replace")
    return None
