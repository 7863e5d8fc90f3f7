"""A process of dspex never outlives its host.

The lifeline is the reading end of a pipe whose writing end the host alone holds; nothing is ever written
to it. When the host ends, by whatever cause, the kernel closes the writing end.

Where the system can send a chosen signal for that (Linux), it is SIGKILL: the process is gone within a
millisecond, also when a C function holds the interpreter's lock and no Python code could run. Elsewhere a
thread waits for it, in workers only, since a zygote must not have threads; a zygote reads its control
socket all the time and ends with that.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading


def arm(fd: int, *, may_start_thread: bool, of_group: bool = False) -> int:
    """Binds the life of this process to the pipe behind `fd`, which this takes over.

    `of_group`: and of all processes of its group, which it leads; those that it starts belong to it.
    Returns the descriptor that has to stay open.
    """
    fd = _own_description(fd)
    owner = -os.getpid() if of_group and os.getpgrp() == os.getpid() else os.getpid()
    if not _arm_signal(fd, owner) and may_start_thread:
        threading.Thread(target=_wait, args=(fd,), name="dspex-lifeline", daemon=True).start()
    # What looked for the host until now; see run.py.
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return fd


def _own_description(fd: int) -> int:
    """Opens the pipe anew, if the system lets us.

    Who gets the signal is a property of the open file, which every descriptor that was passed on shares:
    two processes that were given the same pipe would take it from each other.
    """
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return fd
    os.close(fd)
    return own


def _arm_signal(fd: int, owner: int) -> bool:
    """Asks the kernel for SIGKILL; False: it does not know how."""
    if not hasattr(fcntl, "F_SETSIG"):
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, owner)
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        return False  # a sandbox that has no such signals
    # The host may have ended before the signal was set up.
    poll = select.poll()
    poll.register(fd, 0)
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0)):
        os._exit(0)
    return True


def _wait(fd: int) -> None:
    try:
        while os.read(fd, 1):
            pass
    finally:
        os._exit(0)
