"""Programs that look at what their worker holds and may do, and that try to have more."""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import pickle
import subprocess
import sys
from pathlib import Path

from dspex_worker.config import WorkerConfig

_PR_GET_DUMPABLE = 3

_FORK_UNTIL_REFUSED = """
import errno, json, os, sys
most, uid = int(sys.argv[1]), int(sys.argv[2])
if uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
wait, end = os.pipe()
children, refused = [], 0
while len(children) < most and not refused:
    try:
        child = os.fork()
    except OSError as problem:
        refused = problem.errno
        continue
    if not child:
        os.close(end)
        os.read(wait, 1)
        os._exit(0)
    children.append(child)
os.close(end)
for child in children:
    os.waitpid(child, 0)
print(json.dumps([len(children), refused]))
"""


def tokens() -> list[str]:
    """What this worker asks hosts for."""
    return sorted({thing.token for thing in gc.get_objects() if isinstance(thing, WorkerConfig)})


def dumpable() -> int:
    """Whether others of the same user may look into this process."""
    return int(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def fork_until_refused(most: int, uid: int) -> dict[str, object]:
    """A fork bomb of so many processes; as another user, where one is named, since the kernel refuses root none."""
    command = [sys.executable, "-I", "-c", _FORK_UNTIL_REFUSED, str(most), str(uid)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    forked, refused = json.loads(done.stdout)
    return {"forked": forked, "refused": errno.errorcode.get(refused)}


def open_files(count: int) -> int:
    """So many at once, and none afterwards."""
    files = []
    try:
        for _ in range(count):
            files.append(open("/dev/null", "rb"))  # noqa: SIM115
        return len(files)
    finally:
        for file in files:
            file.close()


class _Trap:
    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.witness, "w"))


def save_trap(path: str, witness: str) -> None:
    """A pickle that writes a file when it is read."""
    Path(path).write_bytes(pickle.dumps(_Trap(witness)))


def read_pickle(path: str) -> None:
    """What a team's own code may do, and dspex never does."""
    pickle.loads(Path(path).read_bytes()).close()
