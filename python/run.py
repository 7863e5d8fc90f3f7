"""Starts dspex_worker from the directory of this file, in isolated mode: `python -I run.py zygote`.

Isolated mode keeps the environment's PYTHON* variables and the current directory out of the worker, and
with them the package itself; so its directory is put on the path here.
"""

import os
import select
import signal
import sys

# Until a zygote has its lifeline, it looks so often whether its host is still there: the worker's imports
# take a tenth of a second, and seconds where the machine is busy.
LOOK_EVERY_S = 0.02


def end_without_host() -> None:
    """Ends this process soon after the other end of its standard input is closed, until `lifeline.arm`."""
    host = select.poll()
    host.register(0, 0)

    def look(*_: object) -> None:
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in host.poll(0)):
            os._exit(0)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY_S, LOOK_EVERY_S)


if __name__ == "__main__":
    if sys.argv[1:2] == ["zygote"]:
        end_without_host()

    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parent))

    from dspex_worker.cli import main

    sys.exit(main())
