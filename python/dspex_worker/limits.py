"""What a worker process may use, and what others may see of it. Set in the child, before it serves.

`prepare` runs in the zygote: what it looks up is there in every worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# What a call needs at least beside what a fresh worker has.
_ROOM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """None: what the host itself may use."""

    # RLIMIT_DATA: private memory that can be written. RLIMIT_AS would count what is only reserved or mapped.
    memory_bytes: int | None = None
    # RLIMIT_NOFILE.
    open_files: int | None = None
    # RLIMIT_NPROC, which counts for the user and not for the process.
    user_processes: int | None = None
    # Whether others of the same user may look into the process.
    debuggable: bool = False

    @classmethod
    def from_json(cls, raw: Any) -> Limits:
        if not isinstance(raw, Mapping):
            raise ValueError(f"expected an object, got {raw!r}")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(raw) - known):
            raise ValueError(f"unknown limit(s): {', '.join(unknown)}")
        for name, value in raw.items():
            if name == "debuggable":
                right = isinstance(value, bool)
            else:
                right = value is None or (
                    isinstance(value, int) and not isinstance(value, bool) and 0 < value <= sys.maxsize
                )
            if not right:
                raise ValueError(f"{name}: got {value!r}")
        return cls(**raw)


@functools.cache
def prctl() -> Callable[..., int] | None:
    """The system's call of that name, where it has one. Looked up once, in the zygote."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            found: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
            return found
    return None


def prepare(limits: Limits) -> None:
    """In the zygote, when all is imported. Raises ValueError for limits under which no worker could live."""
    prctl()
    # Nothing of dspex leaves a core dump: keys would be in it.
    _lower(resource.RLIMIT_CORE, 0)
    wanted = limits.memory_bytes
    if wanted is not None:
        least = _data_bytes() + _ROOM_BYTES
        if wanted < least:
            raise ValueError(
                f"a memory limit of {wanted} bytes is too small: a worker has {least - _ROOM_BYTES} bytes"
                f" when it starts, and calls need some; allow at least {least}"
            )


def apply(limits: Limits) -> None:
    """In the worker, when all that it inherits is set up."""
    _lower(resource.RLIMIT_CORE, 0)
    if limits.memory_bytes is not None:
        _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    if limits.open_files is not None:
        _lower(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.user_processes is not None:
        _lower(resource.RLIMIT_NPROC, limits.user_processes)
    control = prctl()
    if control is not None:
        control(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if not limits.debuggable:
            control(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _lower(kind: int, value: int) -> None:
    """Soft and hard, so that no code in the worker can raise it again; never above what there is."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _data_bytes() -> int:
    """What RLIMIT_DATA counts, of this process; 0 where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
