"""What a worker tells of itself in `Stats`: memory, and how late its event loop is."""

from __future__ import annotations

import _thread
import asyncio
import resource
import sys
import time
from collections import deque

# Lateness is looked for so often: what blocks the loop for longer is always noticed.
_LOOK_S = 0.25
# The most of so long is told.
_WINDOW_S = 15.0
# The kernel walks all pages for the proportional size: 2 ms for a fresh worker, 40 ms for one of 800 MB.
# Measured so seldom that it takes no more than a five-hundredth of the time.
_PSS_EVERY_S = 5.0
_PSS_SHARE = 500


class LoopLag:
    """How late a timer of the loop was, at most, within the last seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # When, and how late; the latest of each window's rest, so at most a few.
        self._late: deque[tuple[float, float]] = deque()
        self._due = loop.time() + _LOOK_S
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._note(now, max(0.0, now - self._due))
        self._due = now + _LOOK_S
        self._timer = self._loop.call_at(self._due, self._look)

    def _note(self, now: float, late: float) -> None:
        # Whatever is earlier and not later by more will never be the most again.
        while self._late and self._late[-1][1] <= late:
            self._late.pop()
        self._late.append((now, late))
        while self._late[0][0] < now - _WINDOW_S:
            self._late.popleft()

    def microseconds(self) -> int:
        """The most of the last seconds; what is due and late at this moment included."""
        now = self._loop.time()
        past = self._late[0][1] if self._late else 0.0
        return int(max(past, now - self._due, 0.0) * 1e6)


class Memory:
    """Resident and proportional memory of this process."""

    def __init__(self) -> None:
        self._pss = 0
        self._next = 0.0

    def rss(self) -> int:
        """In bytes; where the system does not tell, what it was at most."""
        try:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * resource.getpagesize()
        except (OSError, IndexError, ValueError):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak if sys.platform == "darwin" else peak * 1024

    def pss(self) -> int:
        """In bytes, as it was some seconds ago; 0 where the system does not tell."""
        now = time.monotonic()
        if now >= self._next:
            first = self._next == 0.0
            # Whatever becomes of this measurement, the next one comes later.
            self._next = now + _PSS_EVERY_S
            if first:
                self._measure()
            else:
                try:
                    # Beside the event loop: the kernel's walk does not hold the interpreter. Not by
                    # `threading.Thread`, which waits for its thread to begin: out of memory, one never does.
                    _thread.start_new_thread(self._measure, ())
                except (RuntimeError, MemoryError):
                    pass  # no thread or no memory left: the figure stays as it is
        return self._pss

    def _measure(self) -> None:
        started = time.monotonic()
        try:
            with open("/proc/self/smaps_rollup", "rb") as file:
                sizes = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith(b" kB\n")}
            self._pss = sizes.get(b"Pss:", 0) * 1024
        except (FileNotFoundError, PermissionError):
            self._pss = 0
        except Exception:
            pass  # no descriptor or no memory left
        took = time.monotonic() - started
        self._next = time.monotonic() + max(_PSS_EVERY_S, took * _PSS_SHARE)
