"""What a worker is told once, before it serves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dspex_worker.limits import Limits

MIB = 1024 * 1024


class ConfigError(ValueError):
    """A configuration that no worker can start with; the message names the field."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The settings of one worker; the zygote's own are those of all workers it forks."""

    # Dotted names of the user's own modules, whose public names may be called beside those of DSPy.
    modules: tuple[str, ...] = ()
    # Directories that are searched for modules, before the installed packages.
    python_path: tuple[str, ...] = ()
    # The largest message, after reassembly, in either direction.
    max_message_bytes: int = 64 * MIB
    # How many calls of modules without an async form run at once, each on a thread.
    sync_threads: int = 8
    # What the one host of a worker that listens has to show, where it is not empty. Never printed.
    token: str = field(default="", repr=False)
    # Who this worker is in the pool of the host.
    worker: str = "worker"
    generation: int = 0
    # "DEBUG", "INFO", "WARNING" or "ERROR": the least level that reaches stderr.
    log_level: str = "INFO"
    # What a forked worker may use of the system.
    limits: Limits = field(default_factory=Limits)
    # What the engine alone understands.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> WorkerConfig:
        """Reads the `config` object of the host's `init` message; names the field of any wrong value."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise ConfigError(f"unknown field(s) in the worker's configuration: {', '.join(unknown)}")
        values: dict[str, Any] = {}
        for name, value in raw.items():
            values[name] = _FIELDS[name](name, value)
        return cls(**values)


def _strings(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{name}: expected a list of strings, got {value!r}")
    return tuple(value)


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        # The value is not repeated: it may be a secret that was put in the wrong shape.
        raise ConfigError(f"{name}: expected a string, got {type(value).__name__}")
    return value


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name}: expected an integer of at least 1, got {value!r}")
    if value > sys.maxsize:
        raise ConfigError(f"{name}: expected an integer of at most {sys.maxsize}, got {value!r}")
    return value


def _natural(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name}: expected an integer of at least 0, got {value!r}")
    return value


def _level(name: str, value: Any) -> str:
    if value not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{name}: expected DEBUG, INFO, WARNING or ERROR, got {value!r}")
    return str(value)


def _limits(name: str, value: Any) -> Limits:
    try:
        return Limits.from_json(value)
    except ValueError as exc:
        raise ConfigError(f"{name}: {exc}") from None


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: expected an object, got {value!r}")
    return value


_FIELDS: Mapping[str, Any] = {
    "modules": _strings,
    "python_path": _strings,
    "max_message_bytes": _positive,
    "sync_threads": _positive,
    "token": _string,
    "worker": _string,
    "generation": _natural,
    "log_level": _level,
    "limits": _limits,
    "settings": _object,
}
