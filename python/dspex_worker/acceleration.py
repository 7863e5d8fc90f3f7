"""Accelerations of DSPy that change nothing but time.

* DSPy 3.4.1 makes a new pydantic `TypeAdapter` for every value that it formats or parses, and a new JSON
  schema for every output field of every prompt. Neither ever changes for a type, so they are remembered.
* An asynchronous call of a language model visits a thread twice: to prepare the request, in case it names
  files of the machine, and to estimate a price for DSPy's history. A request of the worker names no files,
  and a worker keeps no history. See also `lm.HostLM`.

Together they are half of the CPU of a call of `dspy.Predict`. Installed for exactly the version that they
were checked with; `"settings": {"accelerate": false}` in the worker's configuration leaves DSPy as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import dspy
import pydantic
from dspy.adapters import utils, xml_adapter
from dspy.clients import execution
from dspy.dsp.utils.settings import settings

CHECKED_VERSION = "3.4.1"
MAX_TYPES = 2048


class _Remembered:
    """What a function makes of a type, by the identity of the type.

    Not by equality: `Literal[1]` equals `Literal[True]`. The type is kept with the result, so that its
    identity cannot pass to another one.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._held: dict[int, tuple[Any, Any]] = {}

    def __call__(self, of: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return self._make(of, *args, **kwargs)
        held = self._held.get(id(of))
        if held is None:
            held = (of, self._make(of))
            if len(self._held) >= MAX_TYPES:
                # Signatures come and go; what is in use comes back at once.
                self._held.clear()
            self._held[id(of)] = held
        return held[1]


class _Asyncio:
    """What `dspy.clients.execution` sees as `asyncio`: all of it, except for prices that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def to_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function is execution._price_result and settings.disable_history:
            return None
        return await asyncio.to_thread(function, *args, **kwargs)


_ORIGINAL_ADAPTER, _ORIGINAL_SCHEMA = utils.TypeAdapter, utils._get_json_schema
_adapter, _schema, _asyncio = (
    _Remembered(pydantic.TypeAdapter),
    _Remembered(utils._get_json_schema),
    _Asyncio(),
)


def install() -> bool:
    """Installs them. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION or _ORIGINAL_ADAPTER is not pydantic.TypeAdapter:
        return False
    utils.TypeAdapter = xml_adapter.TypeAdapter = _adapter
    utils._get_json_schema = _schema
    execution.asyncio = _asyncio
    return True


def uninstall() -> None:
    """Leaves DSPy as it was."""
    utils.TypeAdapter = xml_adapter.TypeAdapter = _ORIGINAL_ADAPTER
    utils._get_json_schema = _ORIGINAL_SCHEMA
    execution.asyncio = asyncio


def is_installed() -> bool:
    return execution.asyncio is _asyncio
