"""Programs that do what a worker should survive, or should not."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

kept: list[bytearray] = []


async def block_loop(seconds: float) -> str:
    """Holds the event loop, not the interpreter's lock."""
    time.sleep(seconds)  # noqa: ASYNC251 (that is the fault)
    return "blocked"


def compute(seconds: float) -> str:
    """Busy on a thread, as sync programs of DSPy are."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return "computed"


async def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    await asyncio.sleep(0)


async def ignore_cancellation(seconds: float) -> str:
    """Goes on whatever it is told."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
    return "went on"


def keep_memory(mib: int) -> int:
    """A leak: written, so that it is resident."""
    kept.append(bytearray(os.urandom(1024) * (1024 * mib)))
    return len(kept)


def take_memory(mib: int) -> int:
    return len(bytearray(mib * 1024 * 1024))


def start_child(new_session: bool) -> int:
    """A subprocess that would live on for long; its process id."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command, start_new_session=new_session).pid


def limits() -> dict[str, object]:
    """What the process may, and what others may see of it."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "data": resource.getrlimit(resource.RLIMIT_DATA)[1],
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "no_new_privileges": status["NoNewPrivs"],
        # The files of a process that allows no dumps are root's.
        "vm_data_mib": int(status["VmData"].split()[0]) // 1024,
    }


async def end_saying_memory_error() -> None:
    """As a C++ library ends that got no memory."""
    sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGABRT)
    await asyncio.sleep(60)
