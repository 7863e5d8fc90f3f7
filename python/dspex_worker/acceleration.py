"""An acceleration of DSPy that changes nothing but time.

DSPy 3.4.1 makes a new pydantic `TypeAdapter` for every value that it formats or parses, and a new JSON
schema for every output field of every prompt. Together they take a third to half of the CPU of a call.
Neither ever changes for a type, so remembering them is as good. Installed for exactly the version that it was
checked with; `"settings": {"accelerate": false}` in the worker's configuration leaves DSPy as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pydantic
from dspy.adapters import utils, xml_adapter

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


_ORIGINAL_ADAPTER, _ORIGINAL_SCHEMA = utils.TypeAdapter, utils._get_json_schema
_adapter, _schema = _Remembered(pydantic.TypeAdapter), _Remembered(utils._get_json_schema)


def install() -> bool:
    """Installs it. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION or _ORIGINAL_ADAPTER is not pydantic.TypeAdapter:
        return False
    utils.TypeAdapter = xml_adapter.TypeAdapter = _adapter
    utils._get_json_schema = _schema
    return True


def uninstall() -> None:
    """Leaves DSPy as it was."""
    utils.TypeAdapter = xml_adapter.TypeAdapter = _ORIGINAL_ADAPTER
    utils._get_json_schema = _ORIGINAL_SCHEMA
