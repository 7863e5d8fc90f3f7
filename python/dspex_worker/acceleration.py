"""An acceleration of DSPy that changes nothing but time.

DSPy 3.4.1 makes a new pydantic `TypeAdapter` for every value that it formats or parses, which takes a third to
half of the CPU of a call of `dspy.Predict`. A type's adapter never changes, so a bounded cache of adapters is as
good. Installed for exactly the version that it was checked with; `settings: {"accelerate": false}` in the
worker's configuration leaves DSPy as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dspy
import pydantic
from dspy.adapters import utils

CHECKED_VERSION = "3.4.1"
MAX_ADAPTERS = 1024


def _cached(make: Callable[[Any], Any]) -> Callable[..., Any]:
    """Makes an adapter per type, as long as the type is hashable and nothing but the type is given."""
    remembered = functools.lru_cache(maxsize=MAX_ADAPTERS)(make)

    def adapter(of: Any, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return pydantic.TypeAdapter(of, *args, **kwargs)
        if type(of) is not type:
            # `Literal[1]` and `Literal[True]` are equal keys and different types; so are unions of such.
            return make(of)
        return remembered(of)

    return adapter


def install() -> bool:
    """Installs it, once. False where DSPy has another version, or changed its mind about where adapters are made."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    if utils.TypeAdapter is pydantic.TypeAdapter:
        utils.TypeAdapter = _cached(pydantic.TypeAdapter)
    return True


def uninstall() -> None:
    """Leaves DSPy as it was."""
    utils.TypeAdapter = pydantic.TypeAdapter
