"""Runs code of the user in a process of its own, whose end, threads and open files touch nobody.

Programs are built to see what they take and answer. The process that workers are forked from must not run
their constructors: what a thread of one of them holds would be held in every worker.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence

log = logging.getLogger(__name__)

# What one name may take. A constructor that waits for more is not looked into.
SECONDS = 20.0


def each_apart(
    names: Sequence[str], function: Callable[[str], str], seconds: float = SECONDS
) -> dict[str, str]:
    """What `function` answers for each name, computed in a forked process.

    A name is missing where the function raises, does not answer in time, or ends its process. The others are
    not affected.
    """
    found: dict[str, str] = {}
    left = list(names)
    while left:
        for name, answer in _fork(left, function, seconds):
            left.remove(name)
            if answer is not None:
                found[name] = answer
        if left:
            log.warning("`%s` could not be looked into: it ended, or took more than %g s", left[0], seconds)
            left.pop(0)
    return found


def _fork(
    names: Sequence[str], function: Callable[[str], str], seconds: float
) -> Iterator[tuple[str, str | None]]:
    """The names in order, up to the first one that ends the process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(names, function, seconds, write)
    os.close(write)
    try:
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                # Half of a line is the last of a process that ended.
                if line.endswith("\n"):
                    name, answer = json.loads(line)
                    yield name, answer
    finally:
        os.waitpid(child, 0)


def _answer(names: Sequence[str], function: Callable[[str], str], seconds: float, write: int) -> None:
    """In the child: one line per name. Never returns."""
    try:
        # What constructors print is no output of the host's program.
        os.dup2(2, 1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for name in names:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                answer: str | None = function(name)
            except Exception:
                log.warning("`%s` could not be looked into", name, exc_info=True)
                answer = None
            os.write(write, json.dumps([name, answer]).encode() + b"\n")
    finally:
        os._exit(0)
